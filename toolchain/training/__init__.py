"""Training with the deployed arithmetic, by PyTorch (extra `train`).

`network` is a quantized network as a PyTorch module whose every byte is the integer reference's, `convolution` what is
learnt in it, `codes` how its weights and codebooks are, `straight_through` rounds and clamps with gradients,
`surrogates` lends gradients to steps that the integer reference runs, `checkpoint` and `state` keep what is done;
`finetune` is the one loop, and trains on what `patches` cuts. Nothing imports them before it is asked for, since they
import PyTorch.
"""
