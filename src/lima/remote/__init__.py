"""The one client for OpenAI-compatible servers: judging and generating both speak through it.

`lima.remote.client.complete_all` sends chat requests to ``URL#model``, logs every attempt before it is
read, and yields the replies as they come. Nothing is imported here: settings need the address alone.
"""
