using System.ComponentModel;
using System.Reflection;
using System.Text;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace FsCheck.Xunit;

/// <summary>Tells xunit that a <see cref="PropertyAttribute"/> is a <see cref="PropertyTestCase"/>.</summary>
public sealed class PropertyDiscoverer(IMessageSink diagnosticMessageSink) : IXunitTestCaseDiscoverer
{
    /// <inheritdoc/>
    public IEnumerable<IXunitTestCase> Discover(ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo factAttribute) =>
    [
        new PropertyTestCase(
            diagnosticMessageSink, discoveryOptions.MethodDisplayOrDefault(), discoveryOptions.MethodDisplayOptionsOrDefault(), testMethod),
    ];
}

/// <summary>
/// A property as a test case. All but the call of the method is xunit's own: construction with fixtures and output
/// helper, asynchronous set-up and tear-down, before and after attributes, skipping.
/// </summary>
public sealed class PropertyTestCase : XunitTestCase
{
    [EditorBrowsable(EditorBrowsableState.Never)]
    [Obsolete("Called by the de-serializer")]
    public PropertyTestCase()
    {
    }

    public PropertyTestCase(IMessageSink diagnosticMessageSink, TestMethodDisplay display, TestMethodDisplayOptions options, ITestMethod testMethod)
        : base(diagnosticMessageSink, display, options, testMethod)
    {
    }

    /// <inheritdoc/>
    public override Task<RunSummary> RunAsync(
        IMessageSink diagnosticMessageSink, IMessageBus messageBus, object[] constructorArguments,
        ExceptionAggregator aggregator, CancellationTokenSource cancellationTokenSource) =>
        new CaseRunner(this, DisplayName, SkipReason, constructorArguments, messageBus, aggregator, cancellationTokenSource).RunAsync();

    private sealed class CaseRunner(
        IXunitTestCase testCase, string displayName, string skipReason, object[] constructorArguments,
        IMessageBus messageBus, ExceptionAggregator aggregator, CancellationTokenSource cancellationTokenSource)
        : XunitTestCaseRunner(
            testCase, displayName, skipReason, constructorArguments, null, messageBus, aggregator, cancellationTokenSource)
    {
        protected override XunitTestRunner CreateTestRunner(
            ITest test, IMessageBus messageBus, Type testClass, object[] constructorArguments, MethodInfo testMethod,
            object[] testMethodArguments, string skipReason, IReadOnlyList<BeforeAfterTestAttribute> beforeAfterAttributes,
            ExceptionAggregator aggregator, CancellationTokenSource cancellationTokenSource) =>
            new TestRunner(
                test, messageBus, testClass, constructorArguments, testMethod, testMethodArguments, skipReason,
                beforeAfterAttributes, aggregator, cancellationTokenSource);
    }

    private sealed class TestRunner(
        ITest test, IMessageBus messageBus, Type testClass, object[] constructorArguments, MethodInfo testMethod,
        object[] testMethodArguments, string skipReason, IReadOnlyList<BeforeAfterTestAttribute> beforeAfterAttributes,
        ExceptionAggregator aggregator, CancellationTokenSource cancellationTokenSource)
        : XunitTestRunner(
            test, messageBus, testClass, constructorArguments, testMethod, testMethodArguments, skipReason,
            beforeAfterAttributes, aggregator, cancellationTokenSource)
    {
        // Receives what the run writes where the class takes no ITestOutputHelper.
        private readonly StringBuilder output = new();

        protected override async Task<Tuple<decimal, string>> InvokeTestAsync(ExceptionAggregator aggregator)
        {
            var (time, text) = await base.InvokeTestAsync(aggregator).ConfigureAwait(false);
            return Tuple.Create(time, text + output);
        }

        protected override Task<decimal> InvokeTestMethodAsync(ExceptionAggregator aggregator)
        {
            var helper = ConstructorArguments.OfType<ITestOutputHelper>().FirstOrDefault();
            Action<string> write = helper is null ? line => output.AppendLine(line) : helper.WriteLine;
            return new Invoker(
                write, Test, MessageBus, TestClass, ConstructorArguments, TestMethod, TestMethodArguments,
                BeforeAfterAttributes, aggregator, CancellationTokenSource).RunAsync();
        }
    }

    private sealed class Invoker(
        Action<string> write, ITest test, IMessageBus messageBus, Type testClass, object[] constructorArguments,
        MethodInfo testMethod, object[] testMethodArguments, IReadOnlyList<BeforeAfterTestAttribute> beforeAfterAttributes,
        ExceptionAggregator aggregator, CancellationTokenSource cancellationTokenSource)
        : XunitTestInvoker(
            test, messageBus, testClass, constructorArguments, testMethod, testMethodArguments,
            beforeAfterAttributes, aggregator, cancellationTokenSource)
    {
        protected override async Task<decimal> InvokeTestMethodAsync(object testClassInstance)
        {
            if (TestCase.InitializationException is { } failure) Aggregator.Add(failure);
            else await Aggregator.RunAsync(() => Timer.AggregateAsync(() => CheckAsync(testClassInstance))).ConfigureAwait(false);
            return Timer.Total;
        }

        // FsCheck waits for asynchronous properties, which must not hold a thread of the pool, or of xunit's
        // synchronization context, that they need to go on: hence a thread of its own.
        private async Task CheckAsync(object target)
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(CancellationTokenSource.Token);
            var run = new PropertyRun(PropertySettings.Of(TestClass, TestMethod), TestClass, TestMethod, target, write, stop.Token);
            var check = Task.Factory.StartNew(
                run.Check, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            if (TestCase.Timeout > 0)
            {
                var first = await Task.WhenAny(check, Task.Delay(TestCase.Timeout, stop.Token)).ConfigureAwait(false);
                if (first != check)
                {
                    await stop.CancelAsync().ConfigureAwait(false);
                    throw run.TimedOut(TestCase.Timeout);
                }
            }
            await check.ConfigureAwait(false);
        }
    }
}
