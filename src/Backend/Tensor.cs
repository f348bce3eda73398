using System.Collections.Immutable;
using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using Dnn.Graph;
using MathNet.Numerics.LinearAlgebra;

namespace Dnn.Backend;

/// <summary>
/// A dense array of numbers in row-major order. Immutable by convention: nobody writes to the storage after the tensor was handed out,
/// so tensors are shared freely between threads and by <see cref="Reshape"/>, and need no disposal.
/// The element type is concrete (never <see cref="Graph.DType.Float"/>) and the storage is one managed array of exactly
/// <see cref="Length"/> elements: <c>float[] double[] long[] bool[]</c>.
/// </summary>
public sealed class Tensor
{
    /// <summary>The most dimensions a tensor has, as in NumPy.</summary>
    public const int MaxRank = 64;

    private readonly Array _data;

    private Tensor(DType type, Array data, ImmutableArray<int> shape)
    {
        DType = type;
        _data = data;
        Shape = shape;
    }

    public DType DType { get; }

    /// <summary>The sizes, outermost first; empty for a scalar.</summary>
    public ImmutableArray<int> Shape { get; }

    public int Rank => Shape.Length;

    /// <summary>The number of elements: the product of <see cref="Shape"/>, 1 for a scalar.</summary>
    public long Length => _data.LongLength;

    /// <summary>Type and shape as the language writes them: <c>f32[2, 3]</c>.</summary>
    public string TypeText => $"{DType.Text()}[{string.Join(", ", Shape)}]";

    /// <summary>Wraps <paramref name="data"/> without copying it as a tensor of the shape; the caller gives up writing to it.</summary>
    /// <exception cref="ArgumentException">T is not float, double, long or bool; the shape has another number of elements.</exception>
    public static Tensor Create<T>(T[] data, params int[] shape) where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(shape);
        DType type = TypeOf<T>();
        long length = Count(shape);
        if (length != data.LongLength)
        {
            throw new ArgumentException(
                $"{data.LongLength} elements do not fill the shape [{string.Join(", ", shape)}], which has {length}", nameof(shape));
        }

        return new Tensor(type, data, [.. shape]);
    }

    /// <summary>Wraps <paramref name="data"/> without copying it as a vector; the caller gives up writing to it.</summary>
    public static Tensor Create<T>(T[] data) where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(data);
        return Create(data, [data.Length]);
    }

    /// <summary>Copies a matrix: <c>Create(m)[i, j] == m[i, j]</c>.</summary>
    public static Tensor Create<T>(T[,] data) where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(data);
        return Create(data.Cast<T>().ToArray(), data.GetLength(0), data.GetLength(1));
    }

    public static Tensor Scalar<T>(T value) where T : unmanaged => Create([value], shape: []);

    /// <summary>All zeros (false for bool).</summary>
    public static Tensor Zeros(DType type, params int[] shape)
    {
        int length = checked((int)Count(shape));
        return type switch
        {
            DType.F32 => Create(new float[length], shape),
            DType.F64 => Create(new double[length], shape),
            DType.I64 => Create(new long[length], shape),
            DType.Bool => Create(new bool[length], shape),
            _ => throw OpenType(nameof(type)),
        };
    }

    /// <summary>The elements in row-major order, over the tensor's own memory.</summary>
    /// <exception cref="InvalidOperationException">T is not the type of the elements: see <see cref="Cast"/>.</exception>
    public ReadOnlySpan<T> AsSpan<T>() where T : unmanaged => Storage<T>();

    /// <summary>The array that holds the elements: to fill a new tensor before it is handed out, and for kernels to read.</summary>
    internal T[] Storage<T>() where T : unmanaged => TypeOf<T>() == DType
        ? (T[])_data
        : throw new InvalidOperationException($"the tensor is {TypeText}, not of {typeof(T).Name}: convert it with Cast first");

    /// <summary>The elements in row-major order, copied.</summary>
    public T[] ToArray<T>() where T : unmanaged => AsSpan<T>().ToArray();

    /// <summary>
    /// One element as a double (exact but for integers beyond 2⁵³; bool is 0 or 1). Negative indices count from the end.
    /// </summary>
    /// <exception cref="IndexOutOfRangeException">An index is out of range, or there is not one index a dimension.</exception>
    public double this[params int[] index]
    {
        get
        {
            ArgumentNullException.ThrowIfNull(index);
            if (index.Length != Rank)
            {
                throw new IndexOutOfRangeException($"{index.Length} indices into {TypeText}, which takes {Rank}");
            }

            int at = 0;
            for (int d = 0; d < index.Length; d++)
            {
                int i = index[d] < 0 ? index[d] + Shape[d] : index[d];
                if ((uint)i >= (uint)Shape[d])
                {
                    throw new IndexOutOfRangeException($"index {index[d]} at dimension {d} of {TypeText}");
                }

                at = at * Shape[d] + i;
            }

            return At(at);
        }
    }

    /// <summary>The value of a tensor with one element.</summary>
    /// <exception cref="InvalidOperationException">There is not exactly one element.</exception>
    public double ToScalar() => Length == 1
        ? At(0)
        : throw new InvalidOperationException($"{TypeText} has {Length} elements, not one");

    /// <summary>
    /// The same values in another element type; the tensor itself if it has that type already. Floats become integers by truncation
    /// towards zero, saturating, NaN to 0; a number becomes false where it is 0; false and true become 0 and 1.
    /// </summary>
    public Tensor Cast(DType type)
    {
        if (type == DType)
        {
            return this;
        }

        int[] shape = [.. Shape];
        switch (type)
        {
            case DType.F32: return Create(Numbers<float>(), shape);
            case DType.F64: return Create(Numbers<double>(), shape);
            case DType.I64: return Create(Numbers<long>(), shape);
            case DType.Bool:
                var bits = new bool[_data.Length];
                for (int i = 0; i < bits.Length; i++)
                {
                    bits[i] = At(i) != 0;
                }

                return Create(bits, shape);
            default: throw OpenType(nameof(type));
        }
    }

    /// <summary>The same elements, over the same memory, in another shape; one size may be -1 and is worked out.</summary>
    /// <exception cref="ArgumentException">The shape has another number of elements.</exception>
    public Tensor Reshape(params int[] shape)
    {
        ArgumentNullException.ThrowIfNull(shape);
        int[] sizes = [.. shape];
        int open = Array.IndexOf(sizes, -1);
        if (open >= 0)
        {
            sizes[open] = 1;
            long rest = Count(sizes);
            if (rest == 0 || Length % rest != 0)
            {
                throw new ArgumentException($"no size in place of -1 gives [{string.Join(", ", shape)}] the {Length} elements of {TypeText}", nameof(shape));
            }

            sizes[open] = checked((int)(Length / rest));
        }

        if (Count(sizes) != Length)
        {
            throw new ArgumentException($"[{string.Join(", ", shape)}] has not the {Length} elements of {TypeText}", nameof(shape));
        }

        return new Tensor(DType, _data, [.. sizes]);
    }

    /// <summary>Whether type, shape and every bit agree: NaN equals the same NaN, 0 is not -0.</summary>
    public bool BitEquals(Tensor? other) => other is not null && DType == other.DType && Shape.AsSpan().SequenceEqual(other.Shape.AsSpan())
        && DType switch
        {
            DType.F32 => Cells<int>().SequenceEqual(other.Cells<int>()),
            DType.F64 or DType.I64 => Cells<long>().SequenceEqual(other.Cells<long>()),
            _ => Cells<byte>().SequenceEqual(other.Cells<byte>()),
        };

    /// <summary>
    /// A MathNet matrix over the same memory: nothing is copied. MathNet stores columns one after another, a tensor rows, so a tensor of
    /// shape [r, c] is the matrix with c rows and r columns that is its transpose: <c>t.AsMatrix&lt;float&gt;()[j, i] == t[i, j]</c>.
    /// A vector [n] is a matrix with n rows and one column. <c>AsMatrix().Transpose()</c> copies to the tensor's own orientation.
    /// Writing to the matrix writes to the tensor, which the convention forbids.
    /// </summary>
    /// <typeparam name="T">float for f32, double for f64.</typeparam>
    /// <exception cref="InvalidOperationException">The tensor is not a matrix or vector, has no elements, or is not of T.</exception>
    public Matrix<T> AsMatrix<T>() where T : unmanaged, IFloatingPoint<T>
    {
        if (Rank is 0 or > 2 || Length == 0)
        {
            throw new InvalidOperationException($"{TypeText} is no matrix: it takes one or two dimensions and no size 0");
        }

        return Matrix<T>.Build.Dense(Shape[^1], Rank == 1 ? 1 : Shape[0], Storage<T>());
    }

    /// <summary>
    /// The values as NumPy prints them: brackets by dimension, columns aligned, at most eight digits after the point (a scalar has all), the middle of long
    /// dimensions left out beyond 1000 elements.
    /// </summary>
    public override string ToString() => TensorText.Format(this);

    /// <summary>Element <paramref name="at"/> in row-major order as a double.</summary>
    internal double At(int at) => _data switch
    {
        float[] a => a[at],
        double[] a => a[at],
        long[] a => a[at],
        _ => ((bool[])_data)[at] ? 1 : 0,
    };

    /// <summary>The number of elements of a shape.</summary>
    /// <exception cref="ArgumentException">A size is negative, or there are too many dimensions or elements.</exception>
    internal static long Count(ReadOnlySpan<int> shape)
    {
        if (shape.Length > MaxRank)
        {
            throw new ArgumentException($"{shape.Length} dimensions: at most {MaxRank} are possible", nameof(shape));
        }

        // Zero first: [2³¹-1, 2³¹-1, 2³¹-1, 0] has no elements and does not overflow.
        long length = shape.Contains(0) ? 0 : 1;
        foreach (int size in shape)
        {
            if (size < 0)
            {
                throw new ArgumentException($"the size {size} is negative", nameof(shape));
            }

            length *= size;
            if (length > Array.MaxLength)
            {
                throw new ArgumentException($"the shape [{string.Join(", ", shape.ToArray())}] has more than {Array.MaxLength} elements", nameof(shape));
            }
        }

        return length;
    }

    internal static DType TypeOf<T>() =>
        typeof(T) == typeof(float) ? DType.F32
        : typeof(T) == typeof(double) ? DType.F64
        : typeof(T) == typeof(long) ? DType.I64
        : typeof(T) == typeof(bool) ? DType.Bool
        : throw new ArgumentException($"a tensor holds float, double, long or bool, not {typeof(T).Name}");

    private static ArgumentException OpenType(string name) =>
        new("a tensor's type is f32, f64, i64 or bool: the open float type is chosen before values exist", name);

    private T[] Numbers<T>() where T : unmanaged, INumber<T>
    {
        var result = GC.AllocateUninitializedArray<T>(_data.Length);
        switch (_data)
        {
            case float[] a: Convert(a, result); break;
            case double[] a: Convert(a, result); break;
            case long[] a: Convert(a, result); break;
            case bool[] a:
                for (int i = 0; i < a.Length; i++)
                {
                    result[i] = a[i] ? T.One : T.Zero;
                }

                break;
        }

        return result;
    }

    private static void Convert<TFrom, TTo>(TFrom[] from, TTo[] to)
        where TFrom : unmanaged, INumber<TFrom>
        where TTo : unmanaged, INumber<TTo>
    {
        for (int i = 0; i < to.Length; i++)
        {
            to[i] = TTo.CreateSaturating(from[i]);
        }
    }

    // Reinterprets element by element (same size), so that arrays beyond 2 GiB work.
    private ReadOnlySpan<TBits> Cells<TBits>() where TBits : unmanaged => _data switch
    {
        float[] a => MemoryMarshal.Cast<float, TBits>(a),
        double[] a => MemoryMarshal.Cast<double, TBits>(a),
        long[] a => MemoryMarshal.Cast<long, TBits>(a),
        _ => MemoryMarshal.Cast<bool, TBits>((bool[])_data),
    };
}

/// <summary>Tensors as text, by the rules of NumPy's <c>array2string</c> with its default options.</summary>
internal static class TensorText
{
    private const int Threshold = 1000, Edge = 3, Width = 75, Digits = 8, ScalarDigits = 20;

    public static string Format(Tensor tensor)
    {
        bool abbreviated = tensor.Length > Threshold;
        var cells = new List<int>();
        Visit(tensor, abbreviated, 0, 0, cells.Add);
        string[] texts = Texts(tensor, cells);
        if (tensor.Rank == 0)
        {
            return texts[0].Trim();
        }

        var text = new System.Text.StringBuilder();
        int next = 0;
        Write(tensor, abbreviated, 0, texts, ref next, text);
        return text.ToString();
    }

    // The indices of one dimension that are shown; -1 stands for the ones left out.
    private static IEnumerable<int> Shown(int size, bool abbreviated) => abbreviated && size > 2 * Edge
        ? [.. Enumerable.Range(0, Edge), -1, .. Enumerable.Range(size - Edge, Edge)]
        : Enumerable.Range(0, size);

    private static void Visit(Tensor tensor, bool abbreviated, int depth, int at, Action<int> visit)
    {
        if (depth == tensor.Rank)
        {
            visit(at);
            return;
        }

        foreach (int i in Shown(tensor.Shape[depth], abbreviated))
        {
            if (i >= 0)
            {
                Visit(tensor, abbreviated, depth + 1, at * tensor.Shape[depth] + i, visit);
            }
        }
    }

    private static void Write(Tensor tensor, bool abbreviated, int depth, string[] cells, ref int next, System.Text.StringBuilder text)
    {
        text.Append('[');
        bool last = depth == tensor.Rank - 1, first = true;
        int column = depth + 1;
        foreach (int i in Shown(tensor.Shape[depth], abbreviated))
        {
            if (last)
            {
                string cell = i < 0 ? "..." : cells[next++];
                if (!first && column + 1 + cell.Length > Width - tensor.Rank)
                {
                    TrimEnd(text).Append('\n').Append(' ', depth + 1);
                    column = depth + 1;
                }
                else if (!first)
                {
                    text.Append(' ');
                    column++;
                }

                text.Append(cell);
                column += cell.Length;
            }
            else
            {
                if (!first)
                {
                    text.Append('\n', tensor.Rank - 1 - depth).Append(' ', depth + 1);
                }

                if (i < 0)
                {
                    text.Append("...");
                }
                else
                {
                    Write(tensor, abbreviated, depth + 1, cells, ref next, text);
                }
            }

            first = false;
        }

        text.Append(']');
    }

    private static System.Text.StringBuilder TrimEnd(System.Text.StringBuilder text)
    {
        while (text[^1] == ' ')
        {
            text.Length--;
        }

        return text;
    }

    private static string[] Texts(Tensor tensor, List<int> cells)
    {
        if (tensor.DType is DType.Bool)
        {
            return Align([.. cells.Select(i => tensor.AsSpan<bool>()[i] ? "true" : "false")]);
        }

        if (tensor.DType is DType.I64)
        {
            return Align([.. cells.Select(i => tensor.AsSpan<long>()[i].ToString(CultureInfo.InvariantCulture))]);
        }

        // A scalar is shown in full.
        (int most, double large) = tensor.Rank == 0 ? (ScalarDigits, 1e16) : (Digits, 1e8);

        // The shortest text that reads back as the same number, in the element's own type.
        string[] shortest = [.. cells.Select(i => tensor.DType is DType.F32
            ? tensor.AsSpan<float>()[i].ToString("R", CultureInfo.InvariantCulture)
            : tensor.AsSpan<double>()[i].ToString("R", CultureInfo.InvariantCulture))];
        double[] values = [.. cells.Select(tensor.At)];
        double[] sizes = [.. values.Where(v => double.IsFinite(v) && v != 0).Select(Math.Abs)];
        bool scientific = sizes.Length > 0 && (sizes.Max() >= large || sizes.Min() < 1e-4 || sizes.Max() / sizes.Min() > 1000);

        if (scientific)
        {
            int digits = 0;
            foreach (string s in shortest.Where((_, i) => double.IsFinite(values[i])))
            {
                string mantissa = s.Split('E')[0].Replace("-", "", StringComparison.Ordinal).Replace(".", "", StringComparison.Ordinal);
                digits = Math.Max(digits, mantissa.TrimStart('0').TrimEnd('0').Length - 1);
            }

            string format = "e" + Math.Min(digits, most).ToString(CultureInfo.InvariantCulture);
            return Align([.. values.Select(v => double.IsFinite(v) ? Scientific(v.ToString(format, CultureInfo.InvariantCulture)) : Special(v))]);
        }

        string[] positional = [.. shortest.Select((s, i) => double.IsFinite(values[i]) ? Positional(s, values[i], most) : Special(values[i]))];
        int right = positional.Max(static s => s.IndexOf('.') is var p && p >= 0 ? (int?)(s.Length - p) : null) ?? 0;
        return Align([.. positional.Select(s => s.Contains('.') ? s.PadRight(s.IndexOf('.') + right) : s)]);
    }

    // Where the shortest text is too long, the exact value is rounded, not the text.
    private static string Positional(string shortest, double value, int digits)
    {
        int point = shortest.IndexOf('.', StringComparison.Ordinal);
        return shortest.Contains('E', StringComparison.Ordinal) || (point >= 0 && shortest.Length - point - 1 > digits)
            ? value.ToString("F" + digits.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture).TrimEnd('0')
            : Point(shortest);
    }

    // .NET writes exponents of three digits, NumPy of two where they do.
    private static string Scientific(string text)
    {
        int e = text.IndexOf('e', StringComparison.Ordinal);
        return Point(text[..e]) + text[e..(e + 2)] + (text[e + 2] == '0' ? text[(e + 3)..] : text[(e + 2)..]);
    }

    // NumPy always shows the point of a float: 1. and 1.e+09.
    private static string Point(string text) => text.Contains('.', StringComparison.Ordinal) ? text : text + ".";

    private static string Special(double v) => double.IsNaN(v) ? "nan" : v > 0 ? "inf" : "-inf";

    private static string[] Align(string[] texts)
    {
        int width = texts.Length == 0 ? 0 : texts.Max(static s => s.Length);
        return [.. texts.Select(s => s.PadLeft(width))];
    }
}
