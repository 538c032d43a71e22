"""Times the convolutions of gpu_kernels.rs in PyTorch (cuDNN), and prints the same JSON: `python3 cudnn.py > cudnn.json`.

A row has the time of convolution + bias + ReLU + max pooling in f32 with the tensor cores' TF32 off and on, and in f16.
"""

import json
import statistics
import sys

import torch
import torch.nn.functional as F

# Blocks as in NetworkConfig: channels, kernel, stride, padding, window.
COMPACT = [
    (16, (1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1)),
    (24, (1, 3, 3), (1, 1, 1), (0, 1, 1), (1, 2, 2)),
    (32, (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 2, 2)),
    (48, (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
]
PUBLISHED = [(channels, (3, 3, 3), (1, 1, 1), (0, 0, 0), (2, 2, 2)) for channels in (64, 64, 128, 256)]
NETS = [("compact", COMPACT, (28, 96, 80)), ("published", PUBLISHED, (64, 128, 128))]
ROUNDS = 5
SECONDS = 0.2


def layers(blocks, batch, size):
    """Name, input, weight, bias, stride, padding, window and number of floating-point operations of each block."""
    channels, made = 1, []
    for outputs, kernel, stride, padding, window in blocks:
        taps = channels * kernel[0] * kernel[1] * kernel[2]
        name = "{}x{}x{} {}->{} {}x{}x{}".format(*kernel, channels, outputs, *size)
        out = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(size, padding, kernel, stride)]
        value = torch.randn(batch, channels, *size, device="cuda")
        weight = torch.randn(outputs, channels, *kernel, device="cuda") * (2 / taps) ** 0.5
        bias = torch.randn(outputs, device="cuda")
        made.append((name, value, weight, bias, stride, padding, window, 2 * batch * taps * outputs * out[0] * out[1] * out[2]))
        channels, size = outputs, [n // w for n, w in zip(out, window)]
    return made


def run(chain):
    value = chain[0][1]
    for _, _, weight, bias, stride, padding, window, _ in chain:
        value = F.relu(F.conv3d(value, weight, bias, stride, padding))
        if window != (1, 1, 1):
            value = F.max_pool3d(value, window)
    return value


def elapsed(chain, repeats):
    """Milliseconds of a call, between two events on the card."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(repeats):
        run(chain)
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / repeats


def measure(chain):
    gflop = sum(layer[-1] for layer in chain) / 1e9
    for _ in range(3):
        rough = elapsed(chain, 1)
    repeats = max(1, min(2000, int(SECONDS * 1e3 / rough)))
    alone = statistics.median(elapsed(chain, 1) for _ in range(ROUNDS))
    ms = statistics.median(elapsed(chain, repeats) for _ in range(ROUNDS))
    return {"ms": ms, "latency_ms": alone, "gflops": gflop / ms * 1e3}


def main():
    # Otherwise every call of a shape would ask cuDNN's heuristics alone.
    torch.backends.cudnn.benchmark = True
    rows = []
    for net, blocks, size in NETS:
        for batch in (1, 8):
            made = layers(blocks, batch, size)
            for name, chain in [(layer[0], [layer]) for layer in made] + [("all layers", made)]:
                row = {"net": net, "batch": batch, "layer": name, "gflop": sum(layer[-1] for layer in chain) / 1e9}
                half = [(n, v.half(), w.half(), b.half(), *rest) for n, v, w, b, *rest in chain]
                for kind, tf32, these in (("f32", False, chain), ("tf32", True, chain), ("f16", False, half)):
                    torch.backends.cudnn.allow_tf32 = tf32
                    row[kind] = measure(these)
                rows.append(row)
                print(net, batch, name, *(f"{k} {row[k]['ms']:.3f} ms" for k in ("f32", "tf32", "f16")), file=sys.stderr)
    print(json.dumps({"adapter": torch.cuda.get_device_name(), "rows": rows}))


with torch.inference_mode():
    main()
