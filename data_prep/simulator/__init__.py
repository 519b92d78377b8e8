"""Simulates databases: drawn faces whose action units move by known amounts.

plan/ decides who shows what and when; portrait/ draws people and moves their faces;
camera/ films them and keeps the truth. writer.py and workbooks.py store frames and
annotations as a licensee has them. long/ makes long videos for spotting.
"""
