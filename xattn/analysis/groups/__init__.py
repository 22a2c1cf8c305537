"""Does the model err differently with an artifact, or on a group of patients?"""
