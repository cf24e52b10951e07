"""Pure neuron steps and surrogate gradients."""
