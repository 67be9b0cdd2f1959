"""Alembic runs this: the migrations go through the connection, and the transaction, of the caller."""

from alembic import context

if hasattr(context, "config"):  # absent when something other than Alembic imports this file
    context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
    context.run_migrations()
