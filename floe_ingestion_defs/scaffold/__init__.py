"""Scaffolds a new project, or a new source in a project.

Imports nothing heavy, so that the commands start quickly.
"""
