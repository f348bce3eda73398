using System.Reflection;
using FsCheck.Xunit;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Dnn.Checking.Tests;

/// <summary>Runs one property as xunit does, from discovery to the messages for the runner.</summary>
internal static class Harness
{
    public sealed record Report(IReadOnlyList<IMessageSinkMessage> Messages)
    {
        private ITestFailed? Failure => Messages.OfType<ITestFailed>().SingleOrDefault();

        public bool Passed => Messages.OfType<ITestPassed>().Any();

        /// <summary>What a failure says, with \n as line end.</summary>
        public string Text => string.Join('\n', Failure?.Messages ?? []).ReplaceLineEndings("\n");

        public string StackTrace => string.Join('\n', Failure?.StackTraces ?? []);

        public string Output => Messages.OfType<ITestResultMessage>().Single().Output.ReplaceLineEndings("\n");
    }

    public static Task<Report> RunSubject(string method) => Run(typeof(Subject), method);

    public static async Task<Report> Run(Type type, string method, params object[] constructorArguments)
    {
        var bus = new Bus();
        using var stop = new CancellationTokenSource();
        await Discover(type, method).RunAsync(new NullMessageSink(), bus, constructorArguments, new ExceptionAggregator(), stop);
        return new Report(bus.Messages);
    }

    public static IXunitTestCase Discover(Type type, string method)
    {
        var assembly = new TestAssembly(Reflector.Wrap(type.Assembly));
        var testClass = new TestClass(new TestCollection(assembly, null, "subjects"), Reflector.Wrap(type));
        var info = type.GetMethod(method, BindingFlags.Public | BindingFlags.Static | BindingFlags.Instance | BindingFlags.FlattenHierarchy)!;
        var testMethod = new TestMethod(testClass, Reflector.Wrap(info));
        var attribute = testMethod.Method.GetCustomAttributes(typeof(PropertyAttribute)).Single();
        return new PropertyDiscoverer(new NullMessageSink()).Discover(new Defaults(), testMethod, attribute).Single();
    }

    private sealed class Defaults : ITestFrameworkDiscoveryOptions
    {
        public TValue GetValue<TValue>(string name) => default!;

        public void SetValue<TValue>(string name, TValue value)
        {
        }
    }

    private sealed class Bus : IMessageBus
    {
        public List<IMessageSinkMessage> Messages { get; } = [];

        public bool QueueMessage(IMessageSinkMessage message)
        {
            lock (Messages) Messages.Add(message);
            return true;
        }

        public void Dispose()
        {
        }
    }
}
