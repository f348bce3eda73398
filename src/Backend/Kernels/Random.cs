using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>A new key from a key and a number.</summary>
internal sealed class FoldInstruction(int node, Operand key, Operand data, Operand target) : Instruction(node, [key, data, target], 2)
{
    public override string Name => "rng_fold";

    public override unsafe Step Bind(void** pointers, Engine engine) => new FoldStep((ulong*)pointers[0], (ulong*)pointers[1], (ulong*)pointers[2]);

    private sealed unsafe class FoldStep(ulong* key, ulong* data, ulong* target) : Step
    {
        public override void Run() => *target = Philox.Fold(*key, *data);
    }
}
