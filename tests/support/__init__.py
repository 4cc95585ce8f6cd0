"""What the tests that span packages share."""
