"""The lead's side: invitations, raters, progress, export."""
