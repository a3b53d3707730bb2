"""Commands for people who change the course; the Makefile calls them."""
