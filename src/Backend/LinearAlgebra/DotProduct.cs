using System.Numerics;
using System.Runtime.CompilerServices;

namespace Dnn.Backend;

/// <summary>Sums of products of two contiguous vectors: what a matrix whose rows are contiguous needs for a single column, where <see cref="Gemm"/> would have to transpose it.</summary>
internal static unsafe class DotProduct<T>
    where T : unmanaged, INumber<T>
{
    /// <summary>x₀·y₀ + x₁·y₁ + …, summed in four vectors in turn.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static T Of(nint count, T* x, T* y)
    {
        Vector<T> s0 = default, s1 = default, s2 = default, s3 = default;
        nint i = 0, step = Vector<T>.Count;
        for (; i <= count - 4 * step; i += 4 * step)
        {
            s0 = Portable<T>.MultiplyAdd(Vector.Load(x + i), Vector.Load(y + i), s0);
            s1 = Portable<T>.MultiplyAdd(Vector.Load(x + i + step), Vector.Load(y + i + step), s1);
            s2 = Portable<T>.MultiplyAdd(Vector.Load(x + i + 2 * step), Vector.Load(y + i + 2 * step), s2);
            s3 = Portable<T>.MultiplyAdd(Vector.Load(x + i + 3 * step), Vector.Load(y + i + 3 * step), s3);
        }

        for (; i <= count - step; i += step)
            s0 = Portable<T>.MultiplyAdd(Vector.Load(x + i), Vector.Load(y + i), s0);
        var sum = Vector.Sum(s0 + s1 + (s2 + s3));
        for (; i < count; i++)
            sum += x[i] * y[i];
        return sum;
    }
}
