"""What a path holds: images, arrays, lists, and the labels that come with them."""
