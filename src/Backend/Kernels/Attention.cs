using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Strides of a matrix of each unit of attention: from unit to unit along every axis of units, from row to row, from column to column.</summary>
internal sealed record AttentionStrides(long[] Units, long Row, long Column)
{
    /// <summary>Where the matrix of a unit begins.</summary>
    public nint Locate(long[] sizes, long unit)
    {
        var offset = 0L;
        for (var i = sizes.Length - 1; i >= 0; i--)
        {
            (unit, var at) = Math.DivRem(unit, sizes[i]);
            offset += at * Units[i];
        }

        return (nint)offset;
    }
}

/// <summary>Weights set to 0 where their random number, as <see cref="Philox"/> draws it, is below the rate.</summary>
/// <param name="Rate">The rate.</param>
/// <param name="Scale">What the others are multiplied by.</param>
/// <param name="Numbers">How the random numbers are numbered: those of a row one after the other.</param>
internal sealed record AttentionDrops(double Rate, double Scale, AttentionStrides Numbers);

/// <summary>softmax(Q·Kᵀ, of what a mask shows)·V for units: heads of rows of a batch.</summary>
/// <param name="Units">The sizes of the axes of units; those that share keys and values come last.</param>
/// <param name="Shared">The number of units that share keys and values.</param>
/// <param name="Queries">Rows of Q.</param>
/// <param name="Keys">Rows of K and V.</param>
/// <param name="Size">Columns of Q and K.</param>
/// <param name="ValueSize">Columns of V.</param>
/// <param name="IsGuarded">Whether a row that sees nothing gives zeros rather than NaN.</param>
/// <param name="Value">The strides of V; null in the derivative, which takes its own.</param>
/// <param name="Mask">The strides of the mask, whose rows are contiguous, or null.</param>
/// <param name="Drops">What is dropped of the weights, or null.</param>
internal sealed record AttentionPlan(
    long[] Units, long Shared, int Queries, int Keys, int Size, int ValueSize, bool IsGuarded, AttentionStrides Query, AttentionStrides Key, AttentionStrides? Value, AttentionStrides? Mask, AttentionDrops? Drops = null)
{
    public long Count => Units.Aggregate(1L, (product, size) => product * size);

    /// <summary>Operands that not every attention has: the mask, and the key of random numbers.</summary>
    public int Extras => (Mask is null ? 0 : 1) + (Drops is null ? 0 : 1);

    public string Text => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{Count} of {Queries} x {Keys} x {Size}{(Mask is null ? "" : ", masked")}{(Drops is null ? "" : ", dropped")}{(Shared == 1 ? "" : $", {Shared} share keys")}");
}

/// <summary>Attention.</summary>
/// <param name="operands">Q, K, V, the mask if there is one, the key of random numbers if weights are dropped; the result.</param>
internal sealed class AttentionInstruction(int node, DType type, AttentionPlan plan, AttentionStrides result, Operand[] operands) : Instruction(node, operands, operands.Length - 1)
{
    public override string Name => $"attention {plan.Text}";

    public override long Flops => 2 * plan.Count * plan.Queries * plan.Keys * (plan.Size + plan.ValueSize);

    public override unsafe Step Bind(void** pointers, Engine engine) => type == DType.F32 ? Bind<float>(pointers, engine.Pool) : Bind<double>(pointers, engine.Pool);

    private unsafe Step Bind<T>(void** pointers, WorkerPool pool)
        where T : unmanaged, INumberBase<T> => new RunStep<T>(pointers, plan, result, pool, Flops);

    /// <summary>A piece is some of the rows of a unit.</summary>
    private sealed unsafe class RunStep<T>(void** pointers, AttentionPlan plan, AttentionStrides result, WorkerPool pool, long flops)
        : RangeStep(pool, plan.Count * Chunks(plan, pool), 1, flops * 0.01)
        where T : unmanaged
    {
        private readonly IAttention<T> attention = AttentionBlocks.Of<T>();
        private readonly T* query = (T*)pointers[0], key = (T*)pointers[1], value = (T*)pointers[2], target = (T*)pointers[3 + plan.Extras];
        private readonly byte* mask = plan.Mask is null ? null : (byte*)pointers[3];
        private readonly ulong* random = plan.Drops is null ? null : (ulong*)pointers[2 + plan.Extras];
        private readonly long chunks = Chunks(plan, pool);

        protected override void Run(long start, long end) => attention.Forward(plan, result, start, end, chunks, query, key, value, mask, random, target);

        private static long Chunks(AttentionPlan plan, WorkerPool pool) =>
            pool.Threads == 1 || plan.Count >= 2 * pool.Threads ? 1 : Math.Min(plan.Queries, OverlappedPlan.Ceiling(2 * pool.Threads, plan.Count));
    }
}

/// <summary>Where the operands of the derivative of attention are.</summary>
/// <param name="Cotangent">The cotangent of the result, with the values.</param>
/// <param name="Values">Those values.</param>
/// <param name="ToValues">The cotangent that the weights are multiplied with.</param>
/// <param name="ToQueries">The keys that the cotangent of the scores is multiplied with.</param>
/// <param name="ToKeys">The queries that it is multiplied with.</param>
internal sealed record AttentionGradientPlan(
    AttentionPlan Forward, AttentionStrides Cotangent, AttentionStrides Values, AttentionStrides ToValues, AttentionStrides ToQueries, AttentionStrides ToKeys,
    AttentionStrides ValueBar, AttentionStrides QueryBar, AttentionStrides KeyBar);

/// <summary>The derivative of attention, which computes the weights again.</summary>
/// <param name="operands">Q, K, then as the plan names them, the mask if there is one, the key of random numbers if weights are dropped; the cotangents of V, Q and K.</param>
/// <param name="nodes">The nodes of the three cotangents.</param>
internal sealed class AttentionGradientInstruction(int[] nodes, DType type, AttentionGradientPlan plan, Operand[] operands) : Instruction(nodes[0], operands, operands.Length - 3)
{
    public override string Name => $"attention gradient {plan.Forward.Text}";

    public override long Flops => 2 * plan.Forward.Count * plan.Forward.Queries * plan.Forward.Keys * ((3L * plan.Forward.Size) + (2L * plan.Forward.ValueSize));

    public override IEnumerable<(int Node, int Value)> Computes => nodes.Zip(Outputs.ToArray(), (node, output) => (node, output.Value));

    public override unsafe Step Bind(void** pointers, Engine engine) => type == DType.F32 ? new RunStep<float>(pointers, plan, engine.Pool, Flops) : new RunStep<double>(pointers, plan, engine.Pool, Flops);

    /// <summary>A piece is all units that share keys and values.</summary>
    private sealed unsafe class RunStep<T>(void** pointers, AttentionGradientPlan plan, WorkerPool pool, long flops)
        : RangeStep(pool, plan.Forward.Count / plan.Forward.Shared, 1, flops * 0.01)
        where T : unmanaged
    {
        private readonly IAttention<T> attention = AttentionBlocks.Of<T>();
        private readonly int outputs = 7 + plan.Forward.Extras;

        protected override void Run(long start, long end)
        {
            var operands = new AttentionOperands<T>
            {
                Query = (T*)pointers[0],
                Key = (T*)pointers[1],
                Cotangent = (T*)pointers[2],
                Values = (T*)pointers[3],
                ToValues = (T*)pointers[4],
                ToQueries = (T*)pointers[5],
                ToKeys = (T*)pointers[6],
                Mask = plan.Forward.Mask is null ? null : (byte*)pointers[7],
                Random = plan.Forward.Drops is null ? null : (ulong*)pointers[outputs - 1],
                ValueBar = (T*)pointers[outputs],
                QueryBar = (T*)pointers[outputs + 1],
                KeyBar = (T*)pointers[outputs + 2],
            };
            attention.Backward(plan, start * plan.Forward.Shared, end * plan.Forward.Shared, operands);
        }
    }
}

/// <summary>The memory of the derivative's operands.</summary>
internal unsafe struct AttentionOperands<T>
    where T : unmanaged
{
    public T* Query;
    public T* Key;
    public T* Cotangent;
    public T* Values;
    public T* ToValues;
    public T* ToQueries;
    public T* ToKeys;
    public byte* Mask;
    public ulong* Random;
    public T* ValueBar;
    public T* QueryBar;
    public T* KeyBar;
}

/// <summary>Attention for one element type on one instruction set.</summary>
internal unsafe interface IAttention<T>
    where T : unmanaged
{
    /// <summary>Pieces <paramref name="start"/> to <paramref name="end"/> of the result: each is one of so many parts of the rows of a unit.</summary>
    void Forward(AttentionPlan plan, AttentionStrides result, long start, long end, long parts, T* query, T* key, T* value, byte* mask, ulong* random, T* target);

    /// <summary>The cotangents of units <paramref name="start"/> to <paramref name="end"/>, which begin and end where shared keys do.</summary>
    void Backward(AttentionGradientPlan plan, long start, long end, in AttentionOperands<T> operands);
}

/// <summary>The attention of an instruction set.</summary>
internal static class AttentionBlocks
{
    public static IAttention<T> Of<T>(SimdPath? path = null)
        where T : unmanaged => (IAttention<T>)((path ?? Gemm.Path, typeof(T) == typeof(float)) switch
        {
            (SimdPath.Avx512, true) => new AttentionBlock<float, Vector512<float>, Avx512Single>(),
            (SimdPath.Avx512, _) => new AttentionBlock<double, Vector512<double>, Avx512Double>(),
            (SimdPath.Avx2, true) => new AttentionBlock<float, Vector256<float>, Avx2Single>(),
            (SimdPath.Avx2, _) => new AttentionBlock<double, Vector256<double>, Avx2Double>(),
            (_, true) => (object)new AttentionBlock<float, Vector<float>, Portable<float>>(),
            _ => new AttentionBlock<double, Vector<double>, Portable<double>>(),
        });
}

/// <summary>
/// Attention a few rows at a time: their scores against the keys that any of them sees, the softmax where the scores lie, and the product with the values,
/// all within the cache; nothing of the size queries × keys is stored. The derivative computes the weights in the same way again (Dao et al. 2022,
/// FlashAttention). Keys that no row of a block sees are left out: with finite operands they contribute zeros; with others nothing is left out.
/// </summary>
internal sealed unsafe class AttentionBlock<T, V, S> : IAttention<T>
    where T : unmanaged, IFloatingPointIeee754<T>
    where V : struct
    where S : struct, ISimd<T, V>
{
    /// <summary>The most rows at a time: two tiles of AVX-512.</summary>
    private const int MostRows = 28;
    private const int FewestRows = 8;

    /// <summary>Bytes of the scores of a block of rows.</summary>
    private const long BlockBytes = 256 << 10;

    private static int TileColumns => GemmBlock<T, V, S>.TileColumns;

    public void Forward(AttentionPlan plan, AttentionStrides result, long start, long end, long parts, T* query, T* key, T* value, byte* mask, ulong* random, T* target)
    {
        var (mostRows, width) = Block(plan);
        var strides = plan.Value!;
        var tile = width * mostRows;
        var tiles = plan.Drops is null ? 1 : 2;
        var scores = (T*)Scratch.GetOuter(Bytes(plan, tiles * tile, PackedCount(plan.Keys, plan.Size)));
        var factors = scores + tile;
        var keys = scores + (tiles * tile);
        var block = new Rows(plan, mask, (SeenKeys*)(keys + PackedCount(plan.Keys, plan.Size)), scores, width);
        for (var piece = start; piece < end; piece++)
        {
            var (unit, part) = Math.DivRem(piece, parts);
            var q = query + plan.Query.Locate(plan.Units, unit);
            var v = value + strides.Locate(plan.Units, unit);
            var to = target + result.Locate(plan.Units, unit);
            Pack(plan.Keys, plan.Size, key + plan.Key.Locate(plan.Units, unit), plan.Key, keys);
            block.See(unit);
            var skips = mask != null && Largest(plan.Keys, plan.ValueSize, v, strides) < double.PositiveInfinity;
            var (first, last) = ((int)(plan.Queries * part / parts), (int)(plan.Queries * (part + 1) / parts));
            var step = (int)OverlappedPlan.Even(last - first, mostRows);
            for (var i = first; i < last; i += step)
            {
                var rows = Math.Min(step, last - i);
                var seen = block.Seen(i, rows, skips);
                block.Weights(q, keys, i, rows, seen);
                if (plan.Drops is not null)
                {
                    block.Draw(factors, *random, unit, i, rows, seen);
                    block.Drop(scores, factors, rows, seen);
                }

                GemmBlock<T, V, S>.Multiply(
                    rows, plan.ValueSize, seen.End - seen.Start, scores, (nint)width, 1, v + (seen.Start * strides.Row), (nint)strides.Row, (nint)strides.Column,
                    to + (i * result.Row), (nint)result.Row, false);
            }
        }
    }

    public void Backward(AttentionGradientPlan plan, long start, long end, in AttentionOperands<T> all)
    {
        var forward = plan.Forward;
        var (mostRows, width) = Block(forward);
        var tile = width * mostRows;
        var packed = PackedCount(forward.Keys, forward.Size);
        var tiles = forward.Drops is null ? 2 : 3;
        var scores = (T*)Scratch.GetOuter(Bytes(forward, tiles * tile, packed + PackedCount(forward.Keys, forward.ValueSize)));
        var scoresBar = scores + tile;
        var factors = scoresBar + tile;
        var keys = scores + (tiles * tile);
        var packedValues = keys + packed;
        var block = new Rows(forward, all.Mask, (SeenKeys*)(packedValues + PackedCount(forward.Keys, forward.ValueSize)), scores, width);
        var step = (int)OverlappedPlan.Even(forward.Queries, mostRows);
        for (var unit = start; unit < end; unit++)
        {
            var query = all.Query + forward.Query.Locate(forward.Units, unit);
            var key = all.Key + forward.Key.Locate(forward.Units, unit);
            var cotangent = all.Cotangent + plan.Cotangent.Locate(forward.Units, unit);
            var values = all.Values + plan.Values.Locate(forward.Units, unit);
            var toValues = all.ToValues + plan.ToValues.Locate(forward.Units, unit);
            var toQueries = all.ToQueries + plan.ToQueries.Locate(forward.Units, unit);
            var toKeys = all.ToKeys + plan.ToKeys.Locate(forward.Units, unit);
            var valueBar = all.ValueBar + plan.ValueBar.Locate(forward.Units, unit);
            var queryBar = all.QueryBar + plan.QueryBar.Locate(forward.Units, unit);
            var keyBar = all.KeyBar + plan.KeyBar.Locate(forward.Units, unit);
            Pack(forward.Keys, forward.Size, key, forward.Key, keys);
            Pack(forward.Keys, forward.ValueSize, values, plan.Values, packedValues);
            block.See(unit);
            if (unit % forward.Shared == 0)
            {
                Clear(forward.Keys, forward.ValueSize, valueBar, plan.ValueBar);
                Clear(forward.Keys, forward.Size, keyBar, plan.KeyBar);
            }

            // No product of what is left out may be anything but 0.
            var skips = all.Mask != null
                && Bounded(Largest(forward.Queries, forward.Size, query, forward.Query) * Largest(forward.Keys, forward.Size, key, forward.Key) * forward.Size)
                && Bounded(Largest(forward.Queries, forward.ValueSize, cotangent, plan.Cotangent) * Largest(forward.Keys, forward.ValueSize, values, plan.Values) * forward.ValueSize)
                && (toValues == cotangent || Bounded(Largest(forward.Queries, forward.ValueSize, toValues, plan.ToValues)))
                && (toQueries == key || Bounded(Largest(forward.Keys, forward.Size, toQueries, plan.ToQueries)))
                && (toKeys == query || Bounded(Largest(forward.Queries, forward.Size, toKeys, plan.ToKeys)));
            for (var i = 0; i < forward.Queries; i += step)
            {
                var rows = Math.Min(step, forward.Queries - i);
                var seen = block.Seen(i, rows, skips);
                var columns = seen.End - seen.Start;
                block.Weights(query, keys, i, rows, seen);
                if (columns > 0)
                {
                    GemmBlock<T, V, S>.MultiplyPacked(
                        rows, columns, forward.ValueSize, cotangent + (i * plan.Cotangent.Row), (nint)plan.Cotangent.Row, (nint)plan.Cotangent.Column,
                        packedValues + ((long)seen.Start * forward.ValueSize), scoresBar, (nint)width);
                }

                if (forward.Drops is not null)
                {
                    block.Draw(factors, *all.Random, unit, i, rows, seen);
                    block.Drop(scoresBar, factors, rows, seen);
                }

                block.Differentiate(scoresBar, i, rows, seen);
                if (forward.Drops is not null)
                    block.Drop(scores, factors, rows, seen);
                GemmBlock<T, V, S>.Multiply(
                    rows, forward.Size, columns, scoresBar, (nint)width, 1, toQueries + (seen.Start * plan.ToQueries.Row), (nint)plan.ToQueries.Row, (nint)plan.ToQueries.Column,
                    queryBar + (i * plan.QueryBar.Row), (nint)plan.QueryBar.Row, false);
                if (columns == 0)
                    continue;
                GemmBlock<T, V, S>.Multiply(
                    columns, forward.ValueSize, rows, scores, 1, (nint)width, toValues + (i * plan.ToValues.Row), (nint)plan.ToValues.Row, (nint)plan.ToValues.Column,
                    valueBar + (seen.Start * plan.ValueBar.Row), (nint)plan.ValueBar.Row, true);
                GemmBlock<T, V, S>.Multiply(
                    columns, forward.Size, rows, scoresBar, 1, (nint)width, toKeys + (i * plan.ToKeys.Row), (nint)plan.ToKeys.Row, (nint)plan.ToKeys.Column,
                    keyBar + (seen.Start * plan.KeyBar.Row), (nint)plan.KeyBar.Row, true);
            }
        }
    }

    /// <summary>The most rows at a time, and the distance of two rows of scores: whole vectors, and no two rows on the same lines of the cache.</summary>
    private static (int Rows, long Width) Block(AttentionPlan plan)
    {
        var width = (OverlappedPlan.Ceiling(plan.Keys, Vector512<T>.Count) + 1) * Vector512<T>.Count;
        return ((int)Math.Clamp(BlockBytes / (width * sizeof(T)), FewestRows, MostRows), width);
    }

    private static nuint Bytes(AttentionPlan plan, long scores, long packed) => (nuint)(((scores + packed) * sizeof(T)) + (plan.Mask is null ? 0 : (long)plan.Queries * sizeof(SeenKeys)));

    private static long PackedCount(int rows, int columns) => OverlappedPlan.Ceiling(rows, TileColumns) * TileColumns * columns;

    private static void Pack(int rows, int columns, T* matrix, AttentionStrides strides, T* packed) =>
        GemmBlock<T, V, S>.PackB(columns, rows, matrix, (nint)strides.Column, (nint)strides.Row, packed);

    private static void Clear(int rows, int columns, T* matrix, AttentionStrides strides)
    {
        for (nint i = 0; i < rows; i++)
            new Span<T>(matrix + (i * (nint)strides.Row), columns).Clear();
    }

    private static bool Bounded(double bound) => bound < (typeof(T) == typeof(float) ? float.MaxValue : double.MaxValue);

    /// <summary>The largest absolute value of a matrix; NaN if there is one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Largest(int rows, int columns, T* matrix, AttentionStrides strides)
    {
        var (largest, lanes) = (T.Zero, Vector512<T>.Zero);
        for (nint i = 0; i < rows; i++)
        {
            var row = matrix + (i * (nint)strides.Row);
            nint j = 0;
            for (; strides.Column == 1 && j + Vector512<T>.Count <= columns; j += Vector512<T>.Count)
                lanes = Vector512.Max(lanes, Vector512.Abs(Vector512.Load(row + j)));
            for (; j < columns; j++)
                largest = T.Max(largest, T.Abs(row[j * (nint)strides.Column]));
        }

        return double.CreateTruncating(T.Max(largest, Max(lanes)));
    }

    private static T Max(Vector512<T> lanes)
    {
        var half = Vector256.Max(lanes.GetLower(), lanes.GetUpper());
        var quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        var max = quarter[0];
        for (var lane = 1; lane < Vector128<T>.Count; lane++)
            max = T.Max(max, quarter[lane]);
        return max;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<T> Exp(Vector512<T> x) =>
        typeof(T) == typeof(float) ? VectorMath.Exp(x.AsSingle()).As<float, T>() : VectorMath.Exp(x.AsDouble()).As<double, T>();

    /// <summary>Which keys a query sees: from the first to the last, and whether all between.</summary>
    private struct SeenKeys
    {
        public int Start;
        public int End;
        public bool IsWhole;
    }

    /// <summary>Some rows of weights.</summary>
    private ref struct Rows(AttentionPlan plan, byte* mask, SeenKeys* seen, T* scores, long width)
    {
        private byte* shown;

        /// <summary>Looks at the mask of a unit, if it is another than before.</summary>
        public void See(long unit)
        {
            if (plan.Mask is not { } strides || mask + strides.Locate(plan.Units, unit) is var next && next == shown)
                return;
            shown = next;
            for (nint i = 0; i < plan.Queries; i++)
            {
                var row = new ReadOnlySpan<byte>(shown + (i * (nint)strides.Row), plan.Keys);
                var (start, end) = (row.IndexOfAnyExcept((byte)0), row.LastIndexOfAnyExcept((byte)0) + 1);
                seen[i] = start < 0 ? default : new SeenKeys { Start = start, End = end, IsWhole = !row[start..end].Contains((byte)0) };
            }
        }

        /// <summary>The keys that any of some rows sees, from the start of a panel on; all, where nothing is left out or a row that sees nothing is not all zeros.</summary>
        public readonly (int Start, int End) Seen(int first, int rows, bool skips)
        {
            var (start, end) = (plan.Keys, 0);
            for (var i = first; skips && i < first + rows; i++)
            {
                if (seen[i].End == 0)
                    skips = plan.IsGuarded;
                else
                    (start, end) = (Math.Min(start, seen[i].Start), Math.Max(end, seen[i].End));
            }

            return !skips ? (0, plan.Keys) : end == 0 ? (0, 0) : (start / TileColumns * TileColumns, end);
        }

        /// <summary>The weights of some rows for a range of keys.</summary>
        public readonly void Weights(T* query, T* keys, int first, int rows, (int Start, int End) range)
        {
            var columns = range.End - range.Start;
            if (columns == 0)
                return;
            GemmBlock<T, V, S>.MultiplyPacked(
                rows, columns, plan.Size, query + (first * plan.Query.Row), (nint)plan.Query.Row, (nint)plan.Query.Column, keys + ((long)range.Start * plan.Size), scores, (nint)width);
            for (var row = 0; plan.Mask is not null && row < rows; row++)
                Fill(scores + (row * width), first + row, range, T.NegativeInfinity);

            Softmax(scores, width, rows, columns, plan.IsGuarded);
        }

        /// <summary>The cotangents of rows of scores, (w̄ − Σ w̄ · w) · w, over those of the weights.</summary>
        public readonly void Differentiate(T* bar, int first, int rows, (int Start, int End) range)
        {
            for (var row = 0; row < rows; row++)
            {
                var line = bar + (row * width);
                var sum = Differentiate(scores + (row * width), line, range.End - range.Start);

                // Where the mask is false a weight is 0, and so is the product, unless something is not finite.
                if (plan.Mask is not null && !T.IsFinite(sum))
                    Fill(line, first + row, range, T.Zero);
            }
        }

        /// <summary>What the weights of some rows are multiplied by when some are dropped: 0, or the scale. Every number is drawn by its place, whatever the rows and ranges.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Draw(T* factors, ulong key, long unit, int first, int rows, (int Start, int End) range)
        {
            var drops = plan.Drops!;
            var index = drops.Numbers.Locate(plan.Units, unit) + (first * drops.Numbers.Row) + range.Start;
            var scale = Vector512.Create(T.CreateTruncating(drops.Scale));

            // A number is kept, if bits · 2⁻²⁴ ≥ rate: exact in any floating type, and so is this.
            var least = Vector512.Create((int)Math.Clamp(Math.Ceiling(double.CreateTruncating(T.CreateTruncating(drops.Rate)) * (1 << 24)), 0, 1 << 24));
            for (var row = 0; row < rows; row++, index += drops.Numbers.Row, factors += width)
            {
                for (nint j = 0; j < range.End - range.Start; j += Vector512<int>.Count)
                {
                    var isKept = Vector512.GreaterThanOrEqual(FusedLanes.Bits24(key, index + j), least);
                    if (typeof(T) == typeof(float))
                    {
                        (isKept.As<int, T>() & scale).Store(factors + j);
                    }
                    else
                    {
                        (Vector512.WidenLower(isKept).As<long, T>() & scale).Store(factors + j);
                        (Vector512.WidenUpper(isKept).As<long, T>() & scale).Store(factors + j + Vector512<T>.Count);
                    }
                }
            }
        }

        /// <summary>Drops where the factor is 0, whatever is there, and multiplies elsewhere.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Drop(T* lines, T* factors, int rows, (int Start, int End) range)
        {
            for (var row = 0; row < rows; row++, lines += width, factors += width)
            {
                for (nint j = 0; j < range.End - range.Start; j += Vector512<T>.Count)
                {
                    var factor = Vector512.Load(factors + j);
                    Vector512.ConditionalSelect(Vector512.Equals(factor, Vector512<T>.Zero), Vector512<T>.Zero, Vector512.Load(lines + j) * factor).Store(lines + j);
                }
            }
        }

        /// <summary>Each step for all rows before the next: the rows are independent, so that the processor works on several at once.</summary>
        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Softmax(T* lines, long width, int rows, int columns, bool isGuarded)
        {
            nint count = Vector512<T>.Count, padded = (columns + count - 1) / count * count;
            var shifts = stackalloc T[MostRows];
            var scales = stackalloc T[MostRows];
            for (var row = 0; row < rows; row++)
            {
                var line = lines + (row * width);
                for (nint j = columns; j < padded; j++)
                    line[j] = T.NegativeInfinity;
                var lanes = Vector512.Create(T.NegativeInfinity);
                for (nint j = 0; j < padded; j += count)
                    lanes = Vector512.Max(lanes, Vector512.Load(line + j));
                shifts[row] = Max(lanes);
                if (isGuarded && !T.IsFinite(shifts[row]))
                    shifts[row] = T.Zero;
            }

            for (var row = 0; row < rows; row++)
            {
                var line = lines + (row * width);
                var shift = Vector512.Create(shifts[row]);
                var sums = Vector512<T>.Zero;
                for (nint j = 0; j < padded; j += count)
                {
                    var e = Exp(Vector512.Load(line + j) - shift);
                    sums += e;
                    e.Store(line + j);
                }

                var total = Vector512.Sum(sums);
                scales[row] = T.One / (isGuarded && total == T.Zero ? T.One : total);
            }

            for (var row = 0; row < rows; row++)
            {
                var line = lines + (row * width);
                var scale = Vector512.Create(scales[row]);
                for (nint j = 0; j < padded; j += count)
                    (Vector512.Load(line + j) * scale).Store(line + j);
            }
        }

        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static T Differentiate(T* weights, T* bar, int columns)
        {
            var count = Vector512<T>.Count;
            var padded = (columns + count - 1) / count * count;
            for (var j = columns; j < padded; j++)
                bar[j] = T.Zero;
            var sums = Vector512<T>.Zero;
            for (nint j = 0; j < padded; j += count)
                sums += Vector512.Load(weights + j) * Vector512.Load(bar + j);
            var sum = Vector512.Sum(sums);
            var centre = Vector512.Create(sum);
            for (nint j = 0; j < padded; j += count)
                ((Vector512.Load(bar + j) - centre) * Vector512.Load(weights + j)).Store(bar + j);
            return sum;
        }

        /// <summary>Puts a value where a row of the mask is false.</summary>
        private readonly void Fill(T* line, int query, (int Start, int End) range, T value)
        {
            var keys = seen[query];
            var columns = range.End - range.Start;
            var (open, end) = keys.End == 0 ? (columns, columns) : (keys.Start - range.Start, keys.End - range.Start);
            for (var j = 0; j < open; j++)
                line[j] = value;
            for (var j = end; j < columns; j++)
                line[j] = value;
            if (keys.IsWhole || keys.End == 0)
                return;
            var row = shown + (query * plan.Mask!.Row) + range.Start;
            for (var j = open; j < end; j++)
            {
                if (row[j] == 0)
                    line[j] = value;
            }
        }
    }
}
