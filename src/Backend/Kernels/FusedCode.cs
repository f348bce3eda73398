using System.Collections.Concurrent;
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// Runs a program over <paramref name="rows"/> ≥ 1 rows of <paramref name="groups"/> ≥ 1 groups of sixteen elements along the innermost axis. It may
/// change pointers and slots.
/// </summary>
internal unsafe delegate void FusedLoop(byte** pointers, long* slots, nint groups, nint rows);

/// <summary>Generates the loop of a program as one method of vector code: constants and broadcasts before it, stores at its end.</summary>
internal static unsafe class FusedCode
{
    private delegate Vector512<T> Reader<T>(byte* p);

    private delegate Vector512<T> Gatherer<T>(byte* p, long step);

    private delegate void Writer<T>(byte* p, Vector512<T> value);

    private delegate Vector512<long> Counter(long* slot, long i);

    private static readonly ConcurrentDictionary<string, FusedLoop> Cache = new();

    private static readonly MethodInfo IotaMethod = ((Counter)FusedLanes.Iota).Method;
    private static readonly MethodInfo WordsMethod = ((Func<ulong, long, Vector512<int>>)FusedLanes.Bits24).Method;

    /// <summary>Loops kept; when there are more, all are dropped (kernels hold theirs).</summary>
    private const int CacheLimit = 4096;

    public static FusedLoop Compile(FusedProgram program)
    {
        if (Cache.TryGetValue(program.Key, out FusedLoop? loop))
            return loop;
        if (Cache.Count >= CacheLimit)
            Cache.Clear();
        return Cache.GetOrAdd(program.Key, Generate(program));
    }

    private static FusedLoop Generate(FusedProgram program)
    {
        var method = new DynamicMethod(
            "Fused", typeof(void), [typeof(byte**), typeof(long*), typeof(nint), typeof(nint)], typeof(FusedCode).Module, skipVisibility: true)
        {
            InitLocals = false,
        };
        ILGenerator il = method.GetILGenerator();
        new Emitter(il, program).Emit();
        return method.CreateDelegate<FusedLoop>();
    }

    private static MethodInfo Unit(DType type) => type switch
    {
        DType.F32 => ((Reader<float>)FusedLanes.LoadSingle).Method,
        DType.F64 => ((Reader<double>)FusedLanes.LoadDouble).Method,
        DType.I64 => ((Reader<long>)FusedLanes.LoadLong).Method,
        _ => ((Reader<int>)FusedLanes.LoadMask).Method,
    };

    private static MethodInfo Broadcast(DType type) => type switch
    {
        DType.F32 => ((Reader<float>)FusedLanes.BroadcastSingle).Method,
        DType.F64 => ((Reader<double>)FusedLanes.BroadcastDouble).Method,
        DType.I64 => ((Reader<long>)FusedLanes.BroadcastLong).Method,
        _ => ((Reader<int>)FusedLanes.BroadcastMask).Method,
    };

    private static MethodInfo Gather(DType type) => type switch
    {
        DType.F32 => ((Gatherer<float>)FusedLanes.GatherSingle).Method,
        DType.F64 => ((Gatherer<double>)FusedLanes.GatherDouble).Method,
        DType.I64 => ((Gatherer<long>)FusedLanes.GatherLong).Method,
        _ => ((Gatherer<int>)FusedLanes.GatherMask).Method,
    };

    private static MethodInfo Store(DType type) => type switch
    {
        DType.F32 => ((Writer<float>)FusedLanes.StoreSingle).Method,
        DType.F64 => ((Writer<double>)FusedLanes.StoreDouble).Method,
        DType.I64 => ((Writer<long>)FusedLanes.StoreLong).Method,
        _ => ((Writer<int>)FusedLanes.StoreMask).Method,
    };

    /// <summary>A whole vector, masks included, as it is.</summary>
    private static MethodInfo Raw(DType type) => type == DType.Bool ? ((Reader<int>)FusedLanes.LoadInt).Method : Unit(type);

    private static Type VectorType(DType type) => type switch
    {
        DType.F32 => typeof(Vector512<float>),
        DType.F64 => typeof(Vector512<double>),
        DType.I64 => typeof(Vector512<long>),
        _ => typeof(Vector512<int>),
    };

    private sealed class Emitter(ILGenerator il, FusedProgram program)
    {
        private readonly LocalBuilder?[] _pointers = new LocalBuilder?[program.InputTypes.Length + program.Results.Length + 1];
        private readonly LocalBuilder?[] _keys = new LocalBuilder?[program.InputTypes.Length];
        private readonly LocalBuilder[] _vectors = [.. program.Vectors.Select(v => il.DeclareLocal(VectorType(v)))];
        private readonly LocalBuilder _i = il.DeclareLocal(typeof(nint));
        private readonly LocalBuilder _count = il.DeclareLocal(typeof(nint));
        private readonly LocalBuilder _row = il.DeclareLocal(typeof(nint));
        private readonly List<LocalBuilder[]> _accumulators = [];

        private int InputCount => program.InputTypes.Length;

        public void Emit()
        {
            foreach (FusedStep step in program.Steps)
                if (step.Kind == FusedStepKind.Load)
                    Pointer(step.Index);
                else if (step.Kind == FusedStepKind.Words && step.Index >= 0 && _keys[step.Index] is null)
                {
                    LocalBuilder key = _keys[step.Index] = il.DeclareLocal(typeof(long));
                    il.Emit(OpCodes.Ldloc, Pointer(step.Index));
                    il.Emit(OpCodes.Ldind_I8);
                    il.Emit(OpCodes.Stloc, key);
                }
            for (int r = 0; r < program.Results.Length; r++)
                Pointer(InputCount + r);
            if (program.Reduction == FusedReduction.Rows)
                LoadAccumulators();

            Label body = il.DefineLabel();
            Label row = il.DefineLabel();
            Label end = il.DefineLabel();
            il.Emit(OpCodes.Ldarg_3);
            il.Emit(OpCodes.Stloc, _row);
            il.Emit(OpCodes.Ldarg_2);
            il.Emit(OpCodes.Ldc_I4_4);
            il.Emit(OpCodes.Shl);
            il.Emit(OpCodes.Stloc, _count);
            il.MarkLabel(row);
            foreach (FusedStep step in program.Steps)
                if (IsInvariant(step))
                    EmitStep(step);
            il.Emit(OpCodes.Ldc_I4_0);
            il.Emit(OpCodes.Conv_I);
            il.Emit(OpCodes.Stloc, _i);
            il.MarkLabel(body);
            foreach (FusedStep step in program.Steps)
                if (!IsInvariant(step))
                    EmitStep(step);
            for (int r = 0; r < program.Results.Length; r++)
                EmitResult(r);
            il.Emit(OpCodes.Ldloc, _i);
            il.Emit(OpCodes.Ldc_I4, FusedKernel.Group);
            il.Emit(OpCodes.Add);
            il.Emit(OpCodes.Stloc, _i);
            il.Emit(OpCodes.Ldloc, _i);
            il.Emit(OpCodes.Ldloc, _count);
            il.Emit(OpCodes.Blt, body);

            il.Emit(OpCodes.Ldloc, _row);
            il.Emit(OpCodes.Ldc_I4_1);
            il.Emit(OpCodes.Conv_I);
            il.Emit(OpCodes.Sub);
            il.Emit(OpCodes.Stloc, _row);
            il.Emit(OpCodes.Ldloc, _row);
            il.Emit(OpCodes.Brfalse, end);
            for (int p = 0; p < program.InputTypes.Length + program.Results.Length; p++)
                if (_pointers[p] is { } pointer)
                {
                    il.Emit(OpCodes.Ldloc, pointer);
                    Slot(program.RowSlots + p);
                    il.Emit(OpCodes.Ldind_I);
                    il.Emit(OpCodes.Add);
                    il.Emit(OpCodes.Stloc, pointer);
                }
            for (int k = 0; k < program.RowCounters.Length; k++)
            {
                Slot(program.RowCounters[k]);
                il.Emit(OpCodes.Dup);
                il.Emit(OpCodes.Ldind_I8);
                Slot(program.RowSlots + program.InputTypes.Length + program.Results.Length + k);
                il.Emit(OpCodes.Ldind_I8);
                il.Emit(OpCodes.Add);
                il.Emit(OpCodes.Stind_I8);
            }
            il.Emit(OpCodes.Br, row);
            il.MarkLabel(end);

            if (program.Reduction == FusedReduction.Rows)
                StoreAccumulators();
            il.Emit(OpCodes.Ret);
        }

        private bool IsInvariant(FusedStep step)
            => step.Kind == FusedStepKind.Load && (step.Index >= InputCount || program.Access[step.Index] == FusedAccess.Broadcast);

        private LocalBuilder Pointer(int index)
        {
            if (_pointers[index] is { } known)
                return known;
            LocalBuilder local = _pointers[index] = il.DeclareLocal(typeof(byte*));
            il.Emit(OpCodes.Ldarg_0);
            il.Emit(OpCodes.Ldc_I4, index * sizeof(long));
            il.Emit(OpCodes.Add);
            il.Emit(OpCodes.Ldind_I);
            il.Emit(OpCodes.Stloc, local);
            return local;
        }

        /// <summary>Pushes the address of element i of a contiguous array, or of the second half of its group.</summary>
        private void Address(int pointer, DType type, int half)
        {
            il.Emit(OpCodes.Ldloc, Pointer(pointer));
            il.Emit(OpCodes.Ldloc, _i);
            il.Emit(OpCodes.Ldc_I4, FusedKernelSpec.SizeOf(type));
            il.Emit(OpCodes.Mul);
            il.Emit(OpCodes.Add);
            Offset(half * FusedLaneOp.VectorBytes);
        }

        private void Offset(int bytes)
        {
            if (bytes == 0)
                return;
            il.Emit(OpCodes.Ldc_I4, bytes);
            il.Emit(OpCodes.Add);
        }

        private void Slot(int slot)
        {
            il.Emit(OpCodes.Ldarg_1);
            Offset(slot * sizeof(long));
        }

        private void Index(int half)
        {
            il.Emit(OpCodes.Ldloc, _i);
            Offset(half * 8);
            il.Emit(OpCodes.Conv_I8);
        }

        private void EmitStep(FusedStep step)
        {
            DType type = program.Vectors[step.Target];
            switch (step.Kind)
            {
                case FusedStepKind.Load when step.Index >= InputCount:
                    il.Emit(OpCodes.Ldloc, Pointer(step.Index));
                    il.Emit(OpCodes.Call, Raw(type));
                    break;
                case FusedStepKind.Load:
                    EmitLoad(step, type);
                    break;
                case FusedStepKind.Constant:
                    EmitConstant(type, step.Bits);
                    break;
                case FusedStepKind.Iota:
                    Slot(step.Slot);
                    Index(step.Half);
                    il.Emit(OpCodes.Call, IotaMethod);
                    break;
                case FusedStepKind.Words:
                    if (step.Index < 0)
                        il.Emit(OpCodes.Ldc_I8, step.Bits);
                    else
                        il.Emit(OpCodes.Ldloc, _keys[step.Index]!);
                    Slot(step.Slot);
                    il.Emit(OpCodes.Ldind_I8);
                    Index(0);
                    il.Emit(OpCodes.Add);
                    il.Emit(OpCodes.Call, WordsMethod);
                    break;
                default:
                    foreach (int source in step.Sources)
                        il.Emit(OpCodes.Ldloc, _vectors[source]);
                    il.Emit(OpCodes.Call, step.Op!.Method);
                    break;
            }
            il.Emit(OpCodes.Stloc, _vectors[step.Target]);
        }

        private void EmitLoad(FusedStep step, DType type)
        {
            switch (program.Access[step.Index])
            {
                case FusedAccess.Unit:
                    Address(step.Index, type, step.Half);
                    il.Emit(OpCodes.Call, Unit(type));
                    break;
                case FusedAccess.Broadcast:
                    il.Emit(OpCodes.Ldloc, Pointer(step.Index));
                    il.Emit(OpCodes.Call, Broadcast(type));
                    break;
                default:
                    il.Emit(OpCodes.Ldloc, Pointer(step.Index));
                    Index(step.Half);
                    Slot(step.Slot);
                    il.Emit(OpCodes.Ldind_I8);
                    il.Emit(OpCodes.Mul);
                    il.Emit(OpCodes.Conv_I);
                    il.Emit(OpCodes.Add);
                    Slot(step.Slot);
                    il.Emit(OpCodes.Ldind_I8);
                    il.Emit(OpCodes.Call, Gather(type));
                    break;
            }
        }

        private void EmitConstant(DType type, long bits)
        {
            switch (type)
            {
                case DType.F32:
                    il.Emit(OpCodes.Ldc_R4, (float)BitConverter.Int64BitsToDouble(bits));
                    il.Emit(OpCodes.Call, ((Func<float, Vector512<float>>)Vector512.Create).Method);
                    break;
                case DType.F64:
                    il.Emit(OpCodes.Ldc_R8, BitConverter.Int64BitsToDouble(bits));
                    il.Emit(OpCodes.Call, ((Func<double, Vector512<double>>)Vector512.Create).Method);
                    break;
                case DType.I64:
                    il.Emit(OpCodes.Ldc_I8, bits);
                    il.Emit(OpCodes.Call, ((Func<long, Vector512<long>>)Vector512.Create).Method);
                    break;
                default:
                    il.Emit(OpCodes.Ldc_I4, bits == 0 ? 0 : -1);
                    il.Emit(OpCodes.Call, ((Func<int, Vector512<int>>)Vector512.Create).Method);
                    break;
            }
        }

        private void EmitResult(int index)
        {
            FusedResult result = program.Results[index];
            for (int half = 0; half < result.Vectors.Length; half++)
            {
                LocalBuilder value = _vectors[result.Vectors[half]];
                if (program.Reduction == FusedReduction.Rows && result.Combine is not null)
                {
                    Accumulate(_accumulators[index].AsSpan(half * FusedKernel.Accumulators, FusedKernel.Accumulators), value, result.Combine);
                    continue;
                }
                Address(InputCount + index, result.Type, half);
                if (result.Combine is not null)
                {
                    il.Emit(OpCodes.Dup);
                    il.Emit(OpCodes.Call, Raw(result.Type));
                    il.Emit(OpCodes.Ldloc, value);
                    il.Emit(OpCodes.Call, result.Combine.Method);
                }
                else
                    il.Emit(OpCodes.Ldloc, value);
                il.Emit(OpCodes.Call, Store(result.Type));
            }
        }

        /// <summary>Combines a value with the oldest accumulator and moves that to the end of the queue.</summary>
        private void Accumulate(ReadOnlySpan<LocalBuilder> queue, LocalBuilder value, FusedLaneOp combine)
        {
            il.Emit(OpCodes.Ldloc, queue[0]);
            il.Emit(OpCodes.Ldloc, value);
            il.Emit(OpCodes.Call, combine.Method);
            for (int k = 1; k < queue.Length; k++)
            {
                il.Emit(OpCodes.Ldloc, queue[k]);
                il.Emit(OpCodes.Stloc, queue[k - 1]);
            }
            il.Emit(OpCodes.Stloc, queue[^1]);
        }

        private void LoadAccumulators()
        {
            for (int r = 0; r < program.Results.Length; r++)
            {
                DType type = program.Results[r].Type;
                var locals = new LocalBuilder[program.Results[r].Combine is null ? 0 : program.Results[r].Vectors.Length * FusedKernel.Accumulators];
                for (int k = 0; k < locals.Length; k++)
                {
                    locals[k] = il.DeclareLocal(VectorType(type));
                    il.Emit(OpCodes.Ldloc, Pointer(InputCount + r));
                    Offset(k * FusedLaneOp.VectorBytes);
                    il.Emit(OpCodes.Call, Raw(type));
                    il.Emit(OpCodes.Stloc, locals[k]);
                }
                _accumulators.Add(locals);
            }
        }

        private void StoreAccumulators()
        {
            for (int r = 0; r < program.Results.Length; r++)
                for (int k = 0; k < _accumulators[r].Length; k++)
                {
                    il.Emit(OpCodes.Ldloc, Pointer(InputCount + r));
                    Offset(k * FusedLaneOp.VectorBytes);
                    il.Emit(OpCodes.Ldloc, _accumulators[r][k]);
                    il.Emit(OpCodes.Call, Store(program.Results[r].Type));
                }
        }
    }
}
