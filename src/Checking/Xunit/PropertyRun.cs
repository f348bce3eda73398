using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;

namespace FsCheck.Xunit;

/// <summary>One run of a property: checks it through FsCheck and words the result.</summary>
internal sealed class PropertyRun(
    PropertySettings settings, Type testClass, MethodInfo method, object? target, Action<string> write, CancellationToken stop) : IRunner
{
    private readonly ParameterInfo[] parameters = method.GetParameters();
    private Replay? start;
    private int finished;
    private FSharpList<object>? last;
    private TestResult? result;

    /// <summary>Returns when the property holds.</summary>
    /// <exception cref="PropertyFailedException">It does not hold, or could not be run.</exception>
    public void Check()
    {
        RequireCallable();
        var config = settings
            .ToConfig($"{testClass.FullName}.{method.Name}", Environment.GetEnvironmentVariable("FSCHECK_SEED"))
            .WithRunner(this);
        start = config.Replay.Value;
        try
        {
            FsCheck.Check.Method(config, method, target is null ? FSharpOption<object>.None : FSharpOption<object>.Some(target));
        }
        catch (Exception thrown) when (!stop.IsCancellationRequested)
        {
            throw Stopped(Unwrap(thrown));
        }
        switch (result)
        {
            case TestResult.Failed failed:
                throw Falsified(failed);
            case TestResult.Exhausted exhausted:
                throw Exhausted(exhausted.Item, config);
            default:
                var summary = Runner.onFinishedToString("", result).TrimEnd();
                if (summary.Length > 0) write(summary);
                break;
        }
    }

    /// <summary>Words a run that was given up.</summary>
    public PropertyFailedException TimedOut(int milliseconds) => new(
        $"Test {Volatile.Read(ref finished) + 1} was still running after {milliseconds} ms.{ReproduceRun()}");

    void IRunner.OnStartFixture(Type type)
    {
    }

    void IRunner.OnArguments(int number, FSharpList<object> arguments, FSharpFunc<int, FSharpFunc<FSharpList<object>, string>> every)
    {
        stop.ThrowIfCancellationRequested();
        last = arguments;
        Interlocked.Increment(ref finished);
        if (settings.Verbose == true) write($"Test {finished}:{Describe(arguments)}");
    }

    void IRunner.OnShrink(FSharpList<object> arguments, FSharpFunc<FSharpList<object>, string> everyShrink)
    {
        stop.ThrowIfCancellationRequested();
        last = arguments;
        if (settings.Verbose == true) write($"Shrunk:{Describe(arguments)}");
    }

    void IRunner.OnFinished(string name, TestResult testResult) => result = testResult;

    private void RequireCallable()
    {
        if (method.IsGenericMethod)
            throw new PropertyFailedException("A generic method says not which type to generate: give the type, or call it from a property that does.");
        if (parameters.FirstOrDefault(p => p.ParameterType.IsByRef || p.ParameterType.IsByRefLike) is { } parameter)
            throw new PropertyFailedException($"Parameter '{parameter.Name}' is by reference; a generated one is passed by value.");
        if (method.ReturnType == typeof(void) && method.IsDefined(typeof(AsyncStateMachineAttribute)))
            throw new PropertyFailedException("An 'async void' property ends before its body does: return Task.");
    }

    private PropertyFailedException Falsified(TestResult.Failed failed)
    {
        var (data, original, shrunk, outcome) = (failed.Item1, failed.Item2, failed.Item3, failed.Item4);
        var (rnd, size) = (failed.Item6, failed.Item7);
        var cause = Unwrap(((Outcome.Failed)outcome).Item);
        var text = new StringBuilder($"Falsified after {Count(data.NumberOfTests, "test")}, shrunk {Count(data.NumberOfShrinks, "time")}.");
        foreach (var label in data.Labels) text.Append("\nLabel: ").Append(label);
        var arguments = Describe(original);
        if (arguments.Length > 0) text.Append("\nOriginal:").Append(arguments);
        if (data.NumberOfShrinks > 0) text.Append("\nShrunk:").Append(Describe(shrunk));
        text.Append($"\nReproduce: [Property(Replay = \"({rnd.Seed},{rnd.Gamma},{size})\")]\n");
        return new PropertyFailedException(text.Append(Describe(cause)).ToString(), cause);
    }

    private static PropertyFailedException Exhausted(TestData data, Config config) => new(
        $"The precondition rejected {Count(config.MaxRejected, "case")} while {data.NumberOfTests} of {config.MaxTest} passed: "
        + "generate what it asks for, or raise MaxRejected.");

    // FsCheck catches what the method throws, not what generators and shrinkers do.
    private PropertyFailedException Stopped(Exception cause) => new(
        $"FsCheck could not go on after {Count(finished, "test")}; a generator or a shrinker is missing or threw."
        + (last is null ? "" : $"\nLast arguments:{Describe(last)}")
        + $"{ReproduceRun()}\n{Describe(cause)}",
        cause);

    private string ReproduceRun() =>
        start is null ? "" : $"\nReproduce: [Property(Replay = \"({start.Rnd.Seed},{start.Rnd.Gamma}{(start.Size is { } size ? $",{size.Value}" : "")})\")]";

    private static string Count(int number, string noun) => number == 1 ? $"1 {noun}" : $"{number} {noun}s";

    /// <summary>Lists arguments by name, one a line. FsCheck gives the method's as one tuple, then those of inner properties.</summary>
    private string Describe(FSharpList<object> arguments)
    {
        var text = new StringBuilder();
        var inner = 0;
        foreach (var (index, argument) in arguments.Index())
        {
            if (index > 0) Add($"#{++inner}", argument);
            else if (parameters.Length == 1) Add(parameters[0].Name, argument);
            else if (argument is ITuple tuple)
                for (var i = 0; i < parameters.Length; i++) Add(parameters[i].Name, tuple[i]);
        }
        return text.ToString();

        void Add(string? name, object? value)
        {
            var lines = ArgumentText.Of(value).ReplaceLineEndings("\n").TrimEnd('\n').Split('\n');
            text.Append($"\n  {name} =");
            if (lines.Length == 1) text.Append(' ').Append(lines[0]);
            else foreach (var line in lines) text.Append("\n    ").Append(line);
        }
    }

    // A cause without a stack was made by FsCheck, not thrown: its message says all.
    private static string Describe(Exception cause)
    {
        if (cause.StackTrace is null) return cause.Message;
        var text = new StringBuilder($"{cause.GetType()}: {cause.Message}");
        for (var inner = cause.InnerException; inner is not null; inner = inner.InnerException)
            text.Append($"\n  caused by {inner.GetType()}: {inner.Message}");
        return text.ToString();
    }

    private static Exception Unwrap(Exception thrown)
    {
        while (thrown is TargetInvocationException or AggregateException { InnerExceptions.Count: 1 } && thrown.InnerException is { } inner)
            thrown = inner;
        return thrown;
    }
}
