"""Dose and response: a feature is changed a little and more, and the score follows it or not."""
