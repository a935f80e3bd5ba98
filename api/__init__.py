"""The room that people and programs meet: it serves what the store knows, and hands on what they ask for."""
