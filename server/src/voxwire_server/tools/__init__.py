"""Tool calls: declared, asked, answered once."""
