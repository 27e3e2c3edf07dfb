Guests' lines, curves, dashes and text are drawn pixel for pixel as SPICE clients draw them.
