using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>How the planner treats an operation.</summary>
internal enum OpKind : byte
{
    /// <summary>The value is the first argument.</summary>
    Identity,

    /// <summary>One number, known when the plan is made.</summary>
    Number,
    Table,
    Variable,
    Iota,
    Elementwise,
    RngBits,

    /// <summary>Another way to walk the elements of the argument: strides, no work.</summary>
    View,
    Reduction,
    ArgMax,
    Dot,
    Conv,
    Gather,
    ScatterAdd,
    Concat,
    Pad,
    RngFold,
    DynamicSlice,
    DynamicUpdateSlice,
    Recurrence,
    ArgSort,
    Scan,

    /// <summary>To be resolved before a plan is made.</summary>
    Phase,

    /// <summary>Nothing needs the value.</summary>
    Unused,
}

/// <summary>The planner's side of the closed set of primitives: one row each.</summary>
internal static class Lowering
{
    private static readonly Dictionary<Type, ElementwiseCode> Codes = new()
    {
        [typeof(Neg)] = ElementwiseCode.Neg,
        [typeof(Exp)] = ElementwiseCode.Exp,
        [typeof(Log)] = ElementwiseCode.Log,
        [typeof(Log1p)] = ElementwiseCode.Log1p,
        [typeof(Expm1)] = ElementwiseCode.Expm1,
        [typeof(Tanh)] = ElementwiseCode.Tanh,
        [typeof(Logistic)] = ElementwiseCode.Logistic,
        [typeof(Erf)] = ElementwiseCode.Erf,
        [typeof(Sin)] = ElementwiseCode.Sin,
        [typeof(Cos)] = ElementwiseCode.Cos,
        [typeof(Sqrt)] = ElementwiseCode.Sqrt,
        [typeof(Rsqrt)] = ElementwiseCode.Rsqrt,
        [typeof(Abs)] = ElementwiseCode.Abs,
        [typeof(Relu)] = ElementwiseCode.Relu,
        [typeof(Sign)] = ElementwiseCode.Sign,
        [typeof(Floor)] = ElementwiseCode.Floor,
        [typeof(Round)] = ElementwiseCode.Round,
        [typeof(Add)] = ElementwiseCode.Add,
        [typeof(Mul)] = ElementwiseCode.Mul,
        [typeof(Div)] = ElementwiseCode.Div,
        [typeof(Pow)] = ElementwiseCode.Pow,
        [typeof(Max)] = ElementwiseCode.Max,
        [typeof(Min)] = ElementwiseCode.Min,
        [typeof(And)] = ElementwiseCode.And,
        [typeof(Or)] = ElementwiseCode.Or,
        [typeof(Not)] = ElementwiseCode.Not,
        [typeof(Select)] = ElementwiseCode.Select,
        [typeof(Cast)] = ElementwiseCode.Cast,
    };

    private static readonly Dictionary<Type, OpKind> Kinds = new()
    {
        [typeof(StopGradient)] = OpKind.Identity,
        [typeof(Graph.Barrier)] = OpKind.Identity,
        [typeof(Pooled)] = OpKind.Identity,
        [typeof(Checkpoint)] = OpKind.Identity,
        [typeof(CustomGradient)] = OpKind.Identity,
        [typeof(Phase)] = OpKind.Phase,
        [typeof(Literal)] = OpKind.Number,
        [typeof(DimensionSize)] = OpKind.Number,
        [typeof(Table)] = OpKind.Table,
        [typeof(Variable)] = OpKind.Variable,
        [typeof(Iota)] = OpKind.Iota,
        [typeof(Compare)] = OpKind.Elementwise,
        [typeof(RngBits)] = OpKind.RngBits,
        [typeof(RngFold)] = OpKind.RngFold,
        [typeof(Broadcast)] = OpKind.View,
        [typeof(Reshape)] = OpKind.View,
        [typeof(Transpose)] = OpKind.View,
        [typeof(Reverse)] = OpKind.View,
        [typeof(Slice)] = OpKind.View,
        [typeof(Sum)] = OpKind.Reduction,
        [typeof(ReduceMax)] = OpKind.Reduction,
        [typeof(ReduceMin)] = OpKind.Reduction,
        [typeof(ArgMax)] = OpKind.ArgMax,
        [typeof(DotGeneral)] = OpKind.Dot,
        [typeof(ConvGeneral)] = OpKind.Conv,
        [typeof(Gather)] = OpKind.Gather,
        [typeof(ScatterAdd)] = OpKind.ScatterAdd,
        [typeof(Concat)] = OpKind.Concat,
        [typeof(Pad)] = OpKind.Pad,
        [typeof(DynamicSlice)] = OpKind.DynamicSlice,
        [typeof(DynamicUpdateSlice)] = OpKind.DynamicUpdateSlice,
        [typeof(BodyParameter)] = OpKind.Variable,
        [typeof(Scan)] = OpKind.Scan,
        [typeof(LinearRecurrence)] = OpKind.Recurrence,
        [typeof(ArgSort)] = OpKind.ArgSort,
    };

    /// <exception cref="GraphException">The planner does not know the operation.</exception>
    public static OpKind KindOf(Op op) => Kinds.TryGetValue(op.GetType(), out var kind) ? kind
        : Codes.ContainsKey(op.GetType()) ? OpKind.Elementwise
        : throw new GraphException($"{op.Name}: no kernel computes this operation");

    public static ElementwiseCode CodeOf(Op op) => op is Compare compare
        ? compare.Kind switch
        {
            Comparison.Eq => ElementwiseCode.Eq,
            Comparison.Ne => ElementwiseCode.Ne,
            Comparison.Lt => ElementwiseCode.Lt,
            Comparison.Le => ElementwiseCode.Le,
            Comparison.Gt => ElementwiseCode.Gt,
            _ => ElementwiseCode.Ge,
        }
        : Codes[op.GetType()];

    /// <summary>The operation of two elements that a reduction repeats.</summary>
    public static ElementwiseCode CombineCodeOf(Op op) => op switch
    {
        Sum => ElementwiseCode.Add,
        ReduceMax => ElementwiseCode.Max,
        _ => ElementwiseCode.Min,
    };

    public static ReduceCode ReduceCodeOf(Op op) => op switch
    {
        Sum => ReduceCode.Sum,
        ReduceMax => ReduceCode.Max,
        _ => ReduceCode.Min,
    };
}
