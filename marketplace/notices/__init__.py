"""What is announced and answered: public notices, objections, messages."""
