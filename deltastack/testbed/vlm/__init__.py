"""The served vision-language model: its engine, lifecycle and sessions."""
