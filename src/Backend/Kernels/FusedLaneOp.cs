using System.Reflection;
using System.Runtime.Intrinsics;
using Dnn.Graph;

namespace Dnn.Backend;

using D = Vector512<double>;
using F = Vector512<float>;
using I = Vector512<long>;
using M = Vector512<int>;

/// <summary>A function of one to four vectors: generated code calls its method, the interpreter runs it over blocks.</summary>
internal abstract unsafe class FusedLaneOp(MethodInfo method)
{
    /// <summary>Bytes of a vector.</summary>
    public const int VectorBytes = 64;

    public MethodInfo Method { get; } = method;

    /// <summary>Applies the function to <paramref name="count"/> vectors at each of the addresses that it uses.</summary>
    public abstract void Run(byte* target, byte** sources, int count);

    /// <summary>The operation that acts on every vector of values of a type, or null.</summary>
    public static FusedLaneOp? Lanewise(ElementwiseCode code, DType type) => type switch
    {
        DType.F32 => Single(code),
        DType.F64 => Double(code),
        DType.I64 => Long(code),
        _ => Mask(code),
    };

    private static FusedLaneOp? Single(ElementwiseCode code) => code switch
    {
        ElementwiseCode.Exp => Of<F, F>(VectorMath.Exp),
        ElementwiseCode.Log => Of<F, F>(VectorMath.Log),
        ElementwiseCode.Log1p => Of<F, F>(VectorMath.Log1p),
        ElementwiseCode.Expm1 => Of<F, F>(VectorMath.Expm1),
        ElementwiseCode.Tanh => Of<F, F>(VectorMath.Tanh),
        ElementwiseCode.Logistic => Of<F, F>(VectorMath.Logistic),
        ElementwiseCode.Erf => Of<F, F>(VectorMath.Erf),
        ElementwiseCode.Sin => Of<F, F>(VectorMath.Sin),
        ElementwiseCode.Cos => Of<F, F>(VectorMath.Cos),
        ElementwiseCode.Sqrt => Of<F, F>(VectorMath.Sqrt),
        ElementwiseCode.Rsqrt => Of<F, F>(VectorMath.Rsqrt),
        ElementwiseCode.Relu => Of<F, F>(VectorMath.Relu),
        ElementwiseCode.Sign => Of<F, F>(VectorMath.Sign),
        ElementwiseCode.Floor => Of<F, F>(VectorMath.Floor),
        ElementwiseCode.Round => Of<F, F>(VectorMath.Round),
        ElementwiseCode.Pow => Of<F, F, F>(VectorMath.Pow),
        ElementwiseCode.Div => Of<F, F, F>(Vector512.Divide),
        _ => Arithmetic<float>(code),
    };

    private static FusedLaneOp? Double(ElementwiseCode code) => code switch
    {
        ElementwiseCode.Exp => Of<D, D>(VectorMath.Exp),
        ElementwiseCode.Log => Of<D, D>(VectorMath.Log),
        ElementwiseCode.Log1p => Of<D, D>(VectorMath.Log1p),
        ElementwiseCode.Expm1 => Of<D, D>(VectorMath.Expm1),
        ElementwiseCode.Tanh => Of<D, D>(VectorMath.Tanh),
        ElementwiseCode.Logistic => Of<D, D>(VectorMath.Logistic),
        ElementwiseCode.Erf => Of<D, D>(VectorMath.Erf),
        ElementwiseCode.Sin => Of<D, D>(VectorMath.Sin),
        ElementwiseCode.Cos => Of<D, D>(VectorMath.Cos),
        ElementwiseCode.Sqrt => Of<D, D>(VectorMath.Sqrt),
        ElementwiseCode.Rsqrt => Of<D, D>(VectorMath.Rsqrt),
        ElementwiseCode.Relu => Of<D, D>(VectorMath.Relu),
        ElementwiseCode.Sign => Of<D, D>(VectorMath.Sign),
        ElementwiseCode.Floor => Of<D, D>(VectorMath.Floor),
        ElementwiseCode.Round => Of<D, D>(VectorMath.Round),
        ElementwiseCode.Pow => Of<D, D, D>(VectorMath.Pow),
        ElementwiseCode.Div => Of<D, D, D>(Vector512.Divide),
        _ => Arithmetic<double>(code),
    };

    private static FusedLaneOp? Long(ElementwiseCode code)
        => code == ElementwiseCode.Sign ? Of<I, I>(FusedLanes.Sign) : Arithmetic<long>(code);

    private static FusedLaneOp? Mask(ElementwiseCode code) => code switch
    {
        ElementwiseCode.And => Of<M, M, M>(Vector512.BitwiseAnd),
        ElementwiseCode.Or => Of<M, M, M>(Vector512.BitwiseOr),
        ElementwiseCode.Not => Of<M, M>(Vector512.OnesComplement),
        _ => null,
    };

    private static FusedLaneOp? Arithmetic<T>(ElementwiseCode code) => code switch
    {
        ElementwiseCode.Neg => Of<Vector512<T>, Vector512<T>>(Vector512.Negate),
        ElementwiseCode.Abs => Of<Vector512<T>, Vector512<T>>(Vector512.Abs),
        ElementwiseCode.Add => Of<Vector512<T>, Vector512<T>, Vector512<T>>(Vector512.Add),
        ElementwiseCode.Sub => Of<Vector512<T>, Vector512<T>, Vector512<T>>(Vector512.Subtract),
        ElementwiseCode.Mul => Of<Vector512<T>, Vector512<T>, Vector512<T>>(Vector512.Multiply),
        ElementwiseCode.Max => Of<Vector512<T>, Vector512<T>, Vector512<T>>(Vector512.Max),
        ElementwiseCode.Min => Of<Vector512<T>, Vector512<T>, Vector512<T>>(Vector512.Min),
        _ => null,
    };

    /// <summary>The comparison of two values of a type: two vectors, or low a, low b, high a, high b.</summary>
    public static FusedLaneOp Comparison(ElementwiseCode code, DType type) => (code, type) switch
    {
        (ElementwiseCode.Eq, DType.F32) => Of<F, F, M>(FusedLanes.Equal),
        (ElementwiseCode.Ne, DType.F32) => Of<F, F, M>(FusedLanes.NotEqual),
        (ElementwiseCode.Lt, DType.F32) => Of<F, F, M>(FusedLanes.Less),
        (ElementwiseCode.Le, DType.F32) => Of<F, F, M>(FusedLanes.LessOrEqual),
        (ElementwiseCode.Gt, DType.F32) => Of<F, F, M>(FusedLanes.Greater),
        (ElementwiseCode.Ge, DType.F32) => Of<F, F, M>(FusedLanes.GreaterOrEqual),
        (ElementwiseCode.Eq, DType.Bool) => Of<M, M, M>(FusedLanes.MaskEqual),
        (ElementwiseCode.Ne, DType.Bool) => Of<M, M, M>(Vector512.Xor),
        (_, DType.F64) => WideComparison<double>(code),
        (_, DType.I64) => WideComparison<long>(code),
        _ => throw new ArgumentOutOfRangeException(nameof(code), code, null),
    };

    private static FusedLaneOp WideComparison<T>(ElementwiseCode code) => code switch
    {
        ElementwiseCode.Eq => Of<Vector512<T>, Vector512<T>, Vector512<T>, Vector512<T>, M>(FusedLanes.Equal),
        ElementwiseCode.Ne => Of<Vector512<T>, Vector512<T>, Vector512<T>, Vector512<T>, M>(FusedLanes.NotEqual),
        ElementwiseCode.Lt => Of<Vector512<T>, Vector512<T>, Vector512<T>, Vector512<T>, M>(FusedLanes.Less),
        ElementwiseCode.Le => Of<Vector512<T>, Vector512<T>, Vector512<T>, Vector512<T>, M>(FusedLanes.LessOrEqual),
        ElementwiseCode.Gt => Of<Vector512<T>, Vector512<T>, Vector512<T>, Vector512<T>, M>(FusedLanes.Greater),
        ElementwiseCode.Ge => Of<Vector512<T>, Vector512<T>, Vector512<T>, Vector512<T>, M>(FusedLanes.GreaterOrEqual),
        _ => throw new ArgumentOutOfRangeException(nameof(code), code, null),
    };

    /// <summary>mask ? a : b for the given half of a value.</summary>
    public static FusedLaneOp Select(DType type, int half) => (type, half) switch
    {
        (DType.F32, _) => Of<M, F, F, F>(FusedLanes.Select),
        (DType.Bool, _) => Of<M, M, M, M>(Vector512.ConditionalSelect),
        (DType.F64, 0) => Of<M, D, D, D>(FusedLanes.SelectLow),
        (DType.F64, _) => Of<M, D, D, D>(FusedLanes.SelectHigh),
        (_, 0) => Of<M, I, I, I>(FusedLanes.SelectLow),
        _ => Of<M, I, I, I>(FusedLanes.SelectHigh),
    };

    /// <summary>The conversion that gives a half of the result from the whole source, or from the same half (see <see cref="CastsByHalf"/>).</summary>
    public static FusedLaneOp Cast(DType from, DType to, int half) => (from, to, half) switch
    {
        (DType.F32, DType.F64, 0) => Of<F, D>(Vector512.WidenLower),
        (DType.F32, DType.F64, _) => Of<F, D>(Vector512.WidenUpper),
        (DType.F32, DType.I64, 0) => Of<F, I>(FusedLanes.ToLongLow),
        (DType.F32, DType.I64, _) => Of<F, I>(FusedLanes.ToLongHigh),
        (DType.F32, DType.Bool, _) => Of<F, M>(FusedLanes.ToMask),
        (DType.F64, DType.F32, _) => Of<D, D, F>(Vector512.Narrow),
        (DType.F64, DType.I64, _) => Of<D, I>(Vector512.ConvertToInt64),
        (DType.F64, DType.Bool, _) => Of<D, D, M>(FusedLanes.ToMask),
        (DType.I64, DType.F32, _) => Of<I, I, F>(FusedLanes.ToSingle),
        (DType.I64, DType.F64, _) => Of<I, D>(Vector512.ConvertToDouble),
        (DType.I64, DType.Bool, _) => Of<I, I, M>(FusedLanes.ToMask),
        (DType.Bool, DType.F32, _) => Of<M, F>(FusedLanes.ToSingle),
        (DType.Bool, DType.F64, 0) => Of<M, D>(FusedLanes.ToDoubleLow),
        (DType.Bool, DType.F64, _) => Of<M, D>(FusedLanes.ToDoubleHigh),
        (DType.Bool, DType.I64, 0) => Of<M, I>(FusedLanes.ToLongLow),
        (DType.Bool, DType.I64, _) => Of<M, I>(FusedLanes.ToLongHigh),
        _ => throw new ArgumentOutOfRangeException(nameof(to), to, null),
    };

    /// <summary>Whether a half of the result of a cast comes from the same half of the source.</summary>
    public static bool CastsByHalf(DType from, DType to) => (from, to) is (DType.F64, DType.I64) or (DType.I64, DType.F64);

    /// <summary>Random words, in one vector of ints, as a half of sixteen longs.</summary>
    public static FusedLaneOp WordsToLong(int half) => half == 0 ? Of<M, I>(Vector512.WidenLower) : Of<M, I>(Vector512.WidenUpper);

    /// <summary>Random words, in one vector of ints, as floats.</summary>
    public static FusedLaneOp WordsToSingle() => Of<M, F>(Vector512.ConvertToSingle);

    private static FusedLaneOp Of<TA, TR>(Func<TA, TR> f)
        where TA : unmanaged
        where TR : unmanaged => new Op1<TA, TR>(f);

    private static FusedLaneOp Of<TA, TB, TR>(Func<TA, TB, TR> f)
        where TA : unmanaged
        where TB : unmanaged
        where TR : unmanaged => new Op2<TA, TB, TR>(f);

    private static FusedLaneOp Of<TA, TB, TC, TR>(Func<TA, TB, TC, TR> f)
        where TA : unmanaged
        where TB : unmanaged
        where TC : unmanaged
        where TR : unmanaged => new Op3<TA, TB, TC, TR>(f);

    private static FusedLaneOp Of<TA, TB, TC, TD, TR>(Func<TA, TB, TC, TD, TR> f)
        where TA : unmanaged
        where TB : unmanaged
        where TC : unmanaged
        where TD : unmanaged
        where TR : unmanaged => new Op4<TA, TB, TC, TD, TR>(f);

    private sealed class Op1<TA, TR>(Func<TA, TR> f) : FusedLaneOp(f.Method)
        where TA : unmanaged
        where TR : unmanaged
    {
        public override void Run(byte* target, byte** sources, int count)
        {
            for (int i = 0; i < count; i++)
                ((TR*)target)[i] = f(((TA*)sources[0])[i]);
        }
    }

    private sealed class Op2<TA, TB, TR>(Func<TA, TB, TR> f) : FusedLaneOp(f.Method)
        where TA : unmanaged
        where TB : unmanaged
        where TR : unmanaged
    {
        public override void Run(byte* target, byte** sources, int count)
        {
            for (int i = 0; i < count; i++)
                ((TR*)target)[i] = f(((TA*)sources[0])[i], ((TB*)sources[1])[i]);
        }
    }

    private sealed class Op3<TA, TB, TC, TR>(Func<TA, TB, TC, TR> f) : FusedLaneOp(f.Method)
        where TA : unmanaged
        where TB : unmanaged
        where TC : unmanaged
        where TR : unmanaged
    {
        public override void Run(byte* target, byte** sources, int count)
        {
            for (int i = 0; i < count; i++)
                ((TR*)target)[i] = f(((TA*)sources[0])[i], ((TB*)sources[1])[i], ((TC*)sources[2])[i]);
        }
    }

    private sealed class Op4<TA, TB, TC, TD, TR>(Func<TA, TB, TC, TD, TR> f) : FusedLaneOp(f.Method)
        where TA : unmanaged
        where TB : unmanaged
        where TC : unmanaged
        where TD : unmanaged
        where TR : unmanaged
    {
        public override void Run(byte* target, byte** sources, int count)
        {
            for (int i = 0; i < count; i++)
                ((TR*)target)[i] = f(((TA*)sources[0])[i], ((TB*)sources[1])[i], ((TC*)sources[2])[i], ((TD*)sources[3])[i]);
        }
    }
}
