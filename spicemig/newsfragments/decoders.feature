LZ and GLZ images of 32-bit pixels are decoded faster, photographs by a fifth or more.
