"""The HTTP routes: thin, each a few calls to what stands behind them."""
