"""Media paths: how audio travels. Third-party stacks stop here."""
