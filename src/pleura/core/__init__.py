"""What a lung mask is and how good it is: arrays in, arrays out; numpy only."""
