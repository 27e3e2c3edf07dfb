A client that floods its channels, or asks and never reads, delays no other client and costs a bounded amount of memory.
