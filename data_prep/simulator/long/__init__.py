"""Long videos of simulated people, with the truth of every interval in them.

story.py plans what happens when, recording.py draws a frame, videos.py writes files.
"""
