"""The classroom: release a set of exercises, judge what comes back, and return feedback and scores.

    python -m classroom --help

A course is a folder in nbgrader's layout (source, release, submitted, autograded, feedback, gradebook.db), so that a
course that uses nbgrader goes on as it is. What is ours is the judge, which takes the place of nbgrader's kernel: a
submission runs in a sandbox that holds neither tests nor solutions, its functions get inputs that the judge draws, and
arrays come back to another process, which compares.
"""
