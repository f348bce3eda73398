using System.Reflection;
using Xunit;
using Xunit.Sdk;

namespace Dnn.Backend.Tests;

/// <summary>
/// <c>dotnet Dnn.Backend.Tests.dll PATH CLASS…</c>: runs the tests of some classes in a process of its own, which must have chosen the given
/// instruction set, and prints the digest of the vector functions.
/// </summary>
internal static class TestProgram
{
    public static int Main(string[] args)
    {
        if (args is not [var path, .. var classes])
            return 2;
        if (bool.TryParse(Environment.GetEnvironmentVariable(Processor.WideTilesSwitch), out var isOn))
            AppContext.SetSwitch(Processor.WideTilesSwitch, isOn);
        if (Gemm.Path.ToString() != path)
        {
            Console.WriteLine($"the instruction set is {Gemm.Path}, not {path}");
            return 1;
        }

        foreach (var type in classes.Select(name => typeof(TestProgram).Assembly.GetType($"{typeof(TestProgram).Namespace}.{name}", throwOnError: true)!))
        {
            var count = 0;
            foreach (var method in type.GetMethods().Where(m => m.IsDefined(typeof(FactAttribute), inherit: true)))
            {
                foreach (var arguments in Arguments(method))
                {
                    var instance = Activator.CreateInstance(type);
                    method.Invoke(instance, arguments);
                    (instance as IDisposable)?.Dispose();
                    count++;
                }
            }

            Console.WriteLine($"{type.Name}: {count} passed");
        }

        Console.WriteLine(VectorMathTests.Digest());
        return 0;
    }

    /// <summary>The rows of a theory; none, once, for a fact.</summary>
    private static IEnumerable<object?[]> Arguments(MethodInfo method) => method.IsDefined(typeof(TheoryAttribute))
        ? method.GetCustomAttributes<DataAttribute>().SelectMany(d => d.GetData(method))
        : [[]];
}
