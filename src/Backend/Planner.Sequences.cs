using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Lowering of what walks along one axis: computed stretches, recurrences, sorting.</summary>
internal sealed partial class Planner
{
    private void EmitDynamicSlice(int id)
    {
        var op = (DynamicSlice)graph.Node(id).Op;
        var (x, start) = (Contiguous(Resolve(graph.Args(id)[0])), Resolve(graph.Args(id)[1]));
        var sizes = Stretch(x.Dims, op.Axis, graph.Dims(id)[op.Axis]);
        Add(new DynamicSliceInstruction(id, FusedKernelSpec.SizeOf(graph.Type(id)), sizes, At(x), At(start), new Operand(NewValue(id))));
    }

    private void EmitDynamicUpdateSlice(int id)
    {
        var op = (DynamicUpdateSlice)graph.Node(id).Op;
        var (x, update, start) = (Contiguous(Resolve(graph.Args(id)[0])), Contiguous(Resolve(graph.Args(id)[1])), Resolve(graph.Args(id)[2]));
        var sizes = Stretch(x.Dims, op.Axis, update.Dims[op.Axis]);
        Add(new StretchCheckInstruction(sizes, At(start)));
        Add(new DynamicUpdateSliceInstruction(id, FusedKernelSpec.SizeOf(graph.Type(id)), sizes, At(x), At(update), At(start), new Operand(NewValue(id))));
    }

    private static StretchSizes Stretch(ReadOnlySpan<int> dims, int axis, int length) =>
        new(Strides.Count(dims[..axis]), dims[axis], length, Strides.Count(dims[(axis + 1)..]));

    private void EmitRecurrence(int id)
    {
        var op = (LinearRecurrence)graph.Node(id).Op;
        var (a, b) = (Resolve(graph.Args(id)[0]), Contiguous(Resolve(graph.Args(id)[1])));
        var single = a.Strides.All(s => s == 0);
        if (!single)
            a = Contiguous(a);
        var dims = b.Dims.AsSpan();
        Add(new RecurrenceInstruction(id, graph.Type(id), op.Reverse, single, Strides.Count(dims[..op.Axis]), dims[op.Axis], Strides.Count(dims[(op.Axis + 1)..]), At(a), At(b), new Operand(NewValue(id))));
    }

    private void EmitArgSort(int id)
    {
        var x = Contiguous(Resolve(graph.Args(id)[0]));
        var size = x.Dims[^1];
        var scratch = new Operand(NewValue(DType.I64, x.Count));
        Add(new ArgSortInstruction(id, graph.Type(graph.Args(id)[0]), ((ArgSort)graph.Node(id).Op).Descending, size == 0 ? 0 : x.Count / size, size, At(x), new Operand(NewValue(id)), scratch));
    }
}
