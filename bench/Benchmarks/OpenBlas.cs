using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Dnn.Backend;

namespace Dnn.Benchmarks;

/// <summary>
/// Products of floats on one thread, ours and those of an OpenBLAS in turn, as a table. OpenBLAS chooses its kernels when it is loaded:
/// OPENBLAS_CORETYPE=Haswell takes those for AVX2.
/// </summary>
internal static unsafe class OpenBlas
{
    private const int Rounds = 7;

    private static readonly (int M, int N, int K)[] Shapes =
    [
        .. new[] { 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048 }.Select(n => (n, n, n)),
        (1, 512, 512), (8, 512, 512), (32, 768, 3072), (128, 512, 784), (784, 512, 128), (1024, 32, 1024), (64, 64, 4096), (2048, 64, 64), (64, 2048, 64), (1024, 256, 256),
    ];

    /// <param name="library">The path of the library.</param>
    /// <param name="sizes">Shapes as M,N,K; the usual ones where there are none.</param>
    public static void Compare(string library, params string[] sizes)
    {
        if (!NativeLibrary.TryLoad(library, out var handle))
        {
            Console.Error.WriteLine($"{library}: no library that can be loaded; give the path of an OpenBLAS (libopenblas.so.0)");
            Environment.ExitCode = 1;
            return;
        }

        ((delegate* unmanaged<int, void>)NativeLibrary.GetExport(handle, "openblas_set_num_threads"))(1);
        var core = Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)NativeLibrary.GetExport(handle, "openblas_get_corename"))());
        var sgemm = (delegate* unmanaged<int, int, int, int, int, int, float, float*, int, float*, int, float, float*, int, void>)NativeLibrary.GetExport(handle, "cblas_sgemm");
        Console.WriteLine($"| M × N × K | ours, GFLOP/s | OpenBLAS {core} | ratio |\n| --- | --- | --- | --- |");
        foreach (var (m, n, k) in sizes.Length == 0 ? Shapes : [.. sizes.Select(s => s.Split(',').Select(int.Parse).ToArray() is [var x, var y, var z] ? (x, y, z) : default)])
        {
            float* a = Draw(m * k), b = Draw(k * n), c = Draw(m * n);
            var args = new MatrixProductArgs<float>(m, n, k, a, b, c);
            void Ours() => Gemm.Multiply(args);
            void Theirs() => sgemm(101, 111, 111, m, n, k, 1, a, k, b, n, 0, c, n);
            var (ours, theirs) = (double.PositiveInfinity, double.PositiveInfinity);
            var repeats = (int)Math.Clamp(2e8 / (2.0 * m * n * k), 1, 20000);

            // The runtime replaces code that runs often after a tenth of a second.
            for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds < 0.2;)
                Time(Ours, repeats);
            Time(Theirs, repeats);
            for (var round = 0; round < Rounds; round++)
                (ours, theirs) = (Math.Min(ours, Time(Ours, repeats)), Math.Min(theirs, Time(Theirs, repeats)));
            double Speed(double seconds) => 2.0 * m * n * k / seconds / 1e9;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {m} × {n} × {k} | {Speed(ours):0.0} | {Speed(theirs):0.0} | {theirs / ours:0.00} |"));
            NativeMemory.AlignedFree(a);
            NativeMemory.AlignedFree(b);
            NativeMemory.AlignedFree(c);
        }
    }

    private static double Time(Action run, int repeats)
    {
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < repeats; i++)
            run();
        return Stopwatch.GetElapsedTime(start).TotalSeconds / repeats;
    }

    private static float* Draw(int count)
    {
        var memory = (float*)NativeMemory.AlignedAlloc((nuint)count * sizeof(float), 64);
        var random = new Random(1);
        for (var i = 0; i < count; i++)
            memory[i] = random.NextSingle() - 0.5f;
        return memory;
    }
}
