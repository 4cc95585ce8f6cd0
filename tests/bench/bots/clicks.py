"""A voice whose words can be found in its samples: a click at every declared start."""

from tests.support.clicks import make_bot

bot = make_bot()
