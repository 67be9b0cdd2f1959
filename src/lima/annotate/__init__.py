"""The web app with which people compare, rate and read: server-rendered pages over one database (LIMA, section 4)."""
