"""Alembic runs this: the migrations go through the connection, and the transaction, of the caller."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
context.run_migrations()
