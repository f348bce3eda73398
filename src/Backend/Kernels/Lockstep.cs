using System.Diagnostics;

namespace Dnn.Backend;

/// <summary>Units <paramref name="First"/> to <paramref name="End"/> of each of <paramref name="Count"/> stretches of <paramref name="Units"/> elements that lie side by side.</summary>
internal readonly record struct Pieces(long Count, long Units, long First, long End)
{
    public long Length => End - First;

    public long Start(long piece) => (piece * Units) + First;

    /// <summary>Copies the pieces of elements of so many bytes to where they stand in other memory.</summary>
    public unsafe void Copy(byte* from, byte* to, int size)
    {
        for (var i = 0L; i < Count; i++)
            Buffer.MemoryCopy(from + (Start(i) * size), to + (Start(i) * size), Length * size, Length * size);
    }
}

/// <summary>A value of a body that products read whole and one step writes: the operand that writes it, and those that read it.</summary>
internal sealed record ExchangedValue(PlanValue Value, (int Instruction, int Operand) Writer, List<(int Instruction, int Operand)> Readers);

/// <summary>
/// How two threads share the body of a loop at every step. Each of them owns some units (of a layer of an LSTM, say) and computes their elements of every value: element i
/// belongs to unit i mod <see cref="Units"/>. So a thread reads what it wrote itself, but for the rows that products multiply by weights: these are exchanged.
/// </summary>
internal sealed class LockstepCut
{
    /// <summary>Multiply-adds of a step below which a thread gains less than it takes to meet the other.</summary>
    private const long MinWork = 1 << 15;

    private readonly long middle;

    private LockstepCut(long units, long middle, List<ExchangedValue> exchanges) => (Units, this.middle, Exchanges) = (units, middle, exchanges);

    public long Units { get; }

    public List<ExchangedValue> Exchanges { get; }

    /// <summary>The cut of a body whose products are those of one row with packed weights and whose other steps go element by element; null for others.</summary>
    public static LockstepCut? TryMake(IReadOnlyList<PlanValue> values, IReadOnlyList<Instruction> code)
    {
        var (work, units, panel) = (0L, long.MaxValue, 1L);
        var writers = new Dictionary<(Region, long), (int Instruction, int Operand)>();
        var exchanges = new Dictionary<(Region, long), ExchangedValue>();
        for (var i = 0; i < code.Count; i++)
        {
            if (ElementsOf(code[i]) is not (> 0 and var elements))
                return null;
            units = Math.Min(units, elements);
            if (code[i] is ProductInstruction { Row: { } row })
                (work, panel) = (work + ((long)row.N * row.K), Math.Max(panel, Products.Of(values[code[i].Operands[2].Value].Type).PanelColumns(1)));
            for (var k = code[i].InputCount; k < code[i].Operands.Length; k++)
            {
                if (!writers.TryAdd(PlaceOf(code[i].Operands[k].Value), (i, k)))
                    return null;
            }
        }

        if (work < MinWork || units % panel != 0 || units == panel)
            return null;
        for (var i = 0; i < code.Count; i++)
        {
            if (ElementsOf(code[i]) % units != 0)
                return null;
            for (var k = 0; k < code[i].Operands.Length; k++)
            {
                var operand = code[i].Operands[k];
                var (value, place) = (values[operand.Value], PlaceOf(operand.Value));
                if (!writers.TryGetValue(place, out var writer))
                    continue;
                if (k > 0 || code[i] is not ProductInstruction { Row: { } row })
                {
                    if (operand.Offset % (units * FusedKernelSpec.SizeOf(value.Type)) != 0 || (k < code[i].InputCount && code[i] is ElementwiseInstruction kernel && kernel.IsOneNumber(k)))
                        return null;
                    continue;
                }

                if (operand.Offset != 0 || row.Inner.A != 1 || row.K != value.Count || value.Count % units != 0 || value.Region is not (Region.State or Region.Temporary))
                    return null;
                if (!exchanges.TryGetValue(place, out var exchange))
                    exchanges[place] = exchange = new ExchangedValue(value, writer, []);
                exchange.Readers.Add((i, k));
            }
        }

        return new LockstepCut(units, units / panel / 2 * panel, [.. exchanges.Values]);

        // Values of one state, or of one output, lie in one place.
        (Region Region, long Index) PlaceOf(int value) => (values[value].Region, values[value].Region is Region.State or Region.Output ? values[value].Index : value);
    }

    /// <summary>The pieces of so many elements that belong to a thread.</summary>
    public Pieces Own(int member, long elements) => new(elements / Units, Units, member == 0 ? 0 : middle, member == 0 ? middle : Units);

    /// <summary>The elements of an instruction's results, if it can be cut between any two.</summary>
    public static long? ElementsOf(Instruction instruction) => instruction switch
    {
        ProductInstruction { Row: { } row } => row.N,
        ElementwiseInstruction { IsByElement: true } kernel => kernel.Kernel.Spec.Size,
        CopyInstruction { IsStretch: true } copy => copy.Count,
        _ => null,
    };
}

/// <summary>
/// Memory for an exchanged value, twice: a thread writes its part of the next one while the other still reads the last. When both have met again, nobody reads the
/// first memory any more.
/// </summary>
/// <param name="initial">The address of the address of the value before the loop, if it has one.</param>
internal sealed unsafe class Exchange(ExchangedValue exchanged, void** initial)
{
    private readonly Memory memory = new(2 * Arena.Align(exchanged.Value.Bytes));

    public ExchangedValue Exchanged => exchanged;

    public byte* Buffer(int index) => memory.Pointer + (index * Arena.Align(exchanged.Value.Bytes));

    /// <summary>Shows the value before the loop.</summary>
    public void Begin()
    {
        if (initial is not null)
            System.Buffer.MemoryCopy(*initial, Buffer(1), exchanged.Value.Bytes, exchanged.Value.Bytes);
    }
}

/// <summary>Where two threads wait for one another.</summary>
internal sealed unsafe class Meeting
{
    /// <summary>Looks before the processor is told that a thread waits, and before the system is.</summary>
    private const int BusyLooks = 200, Looks = 20_000;

    // How often each thread has come, on cache lines of their own.
    private readonly Memory counts = new(2 * 128);

    public void Begin() => *Count(0) = *Count(1) = 0;

    /// <summary>Returns when the other thread has come as often; what it wrote before can be read then.</summary>
    public void Meet(int member)
    {
        var other = Count(1 - member);
        var count = *Count(member) + 1;
        Volatile.Write(ref *Count(member), count);
        for (var looks = 0; Volatile.Read(ref *other) < count; looks++)
        {
            if (looks > Looks)
                Thread.Yield();
            else if (looks > BusyLooks)
                Thread.SpinWait(1);
        }
    }

    private long* Count(int member) => (long*)(counts.Pointer + (member * 128));
}

/// <summary>One of the two threads of a loop: the steps of the body for its units.</summary>
internal sealed unsafe class LockstepMember(LockstepCut cut, int member, Meeting meeting, IEnumerable<Exchange> exchanges)
{
    private readonly PublishStep[] publishers = [.. exchanges.Select(e => new PublishStep(e, cut.Own(member, e.Exchanged.Value.Count), member, meeting))];

    /// <summary>The body, of steps that <see cref="Bind"/> made.</summary>
    public BodyStep? Body { get; set; }

    /// <summary>The step of instruction <paramref name="index"/> of the body for the units of this thread, and what shows its result to the other.</summary>
    public Step Bind(int index, Instruction instruction, void** operands)
    {
        var own = cut.Own(member, LockstepCut.ElementsOf(instruction)!.Value);
        Step step = instruction switch
        {
            ProductInstruction product => product.BindRow(operands, own),
            CopyInstruction copy => copy.BindStretch(operands, own),
            ElementwiseInstruction kernel => new PiecesStep(kernel.BindKernel(operands), own),
            _ => throw new InvalidOperationException($"{instruction.Name} cannot be cut"),
        };
        foreach (var publisher in publishers)
            publisher.Join(index, operands);
        Step[] after = [.. publishers.Where(p => p.Writer == index)];
        return after.Length == 0 ? step : new SequenceStep([step, .. after]);
    }

    public void Run()
    {
        Body!.Rewind();
        foreach (var publisher in publishers)
            publisher.Begin();
        Body.Loop();
    }

    /// <summary>A kernel over some of its elements.</summary>
    private sealed class PiecesStep(BoundKernel kernel, Pieces own) : Step
    {
        public override void Run()
        {
            for (var i = 0; i < own.Count; i++)
                kernel.Run(own.Start(i), own.Start(i) + own.Length);
        }
    }

    /// <summary>Shows the thread's part of a value to the other and waits for that one's: then products read the whole.</summary>
    private sealed class PublishStep(Exchange exchange, Pieces own, int member, Meeting meeting) : Step
    {
        private readonly int size = FusedKernelSpec.SizeOf(exchange.Exchanged.Value.Type);
        private readonly List<nint> readers = [];
        private byte** written;
        private int next;

        public int Writer => exchange.Exchanged.Writer.Instruction;

        /// <summary>Notes where instruction <paramref name="index"/> has the address of the value.</summary>
        public void Join(int index, void** operands)
        {
            if (index == Writer)
                written = (byte**)operands + exchange.Exchanged.Writer.Operand;
            foreach (var (instruction, operand) in exchange.Exchanged.Readers)
            {
                if (instruction == index)
                    readers.Add((nint)(operands + operand));
            }
        }

        public void Begin() => Show(1);

        public override void Run()
        {
            own.Copy(*written, exchange.Buffer(next), size);
            meeting.Meet(member);
            Show(next);
        }

        private void Show(int index)
        {
            foreach (var reader in readers)
                *(byte**)reader = exchange.Buffer(index);
            next = 1 - index;
        }
    }
}

/// <summary>A loop on two threads in lockstep, where the second is there at once; else as it would be.</summary>
internal sealed class LockstepStep : Step
{
    /// <summary>Microseconds that the first thread waits for the second before the loop.</summary>
    private const long Patience = 5;

    private const int Open = 0, Joined = 1, Left = 2;

    private readonly WorkerPool pool;
    private readonly BodyStep whole;
    private readonly LockstepMember[] members;
    private readonly Meeting meeting;
    private readonly List<Exchange> exchanges;
    private readonly Action<int, int> run;
    private int state;

    public LockstepStep(WorkerPool pool, BodyStep whole, LockstepMember[] members, Meeting meeting, List<Exchange> exchanges)
    {
        (this.pool, this.whole, this.members, this.meeting, this.exchanges) = (pool, whole, members, meeting, exchanges);
        run = RunMember;
    }

    public override void Run()
    {
        meeting.Begin();
        foreach (var exchange in exchanges)
            exchange.Begin();
        state = Open;
        pool.Run(pool.Threads, run);
        if (state != Joined)
            whole.Run();
    }

    // One part a thread; but all at once where the pool is busy, and nobody comes.
    private void RunMember(int start, int end)
    {
        if (start == 0 && end == 1 && IsJoined())
            members[0].Run();
        else if (start == 1 && Interlocked.CompareExchange(ref state, Joined, Open) == Open)
            members[1].Run();
    }

    private bool IsJoined()
    {
        var start = Stopwatch.GetTimestamp();
        while (Volatile.Read(ref state) == Open)
        {
            if (Stopwatch.GetTimestamp() - start > Patience * Stopwatch.Frequency / 1_000_000)
                Interlocked.CompareExchange(ref state, Left, Open);
        }

        return state == Joined;
    }
}
