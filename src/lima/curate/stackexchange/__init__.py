"""Stack Exchange dumps: a site's posts -> questions with their best answers (paper, section 2.1)."""
