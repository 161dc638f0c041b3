"""Writes what a person begins with: a new project, or a new source in a project.

Imports nothing heavy, so that the commands answer at once.
"""
