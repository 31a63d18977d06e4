"""What responders use, made from a damage map."""
