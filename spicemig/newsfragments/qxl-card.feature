The QXL device has memory, memory slots, rings, I/O ports and interrupts as guests' drivers know them, and keeps to itself what a hostile guest puts there.
