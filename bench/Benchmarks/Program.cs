using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Dnn.Benchmarks;

// dotnet run -c Release --project bench/Benchmarks -- --filter '*MathNet*'      short jobs in this process; --job medium -i for longer ones
// dotnet run -c Release --project bench/Benchmarks -- openblas LIBRARY [M,N,K…]  our products against those of an OpenBLAS, in turn
if (args is ["openblas", var library, .. var sizes])
{
    OpenBlas.Compare(library, sizes);
    return;
}

var config = DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance)).WithOptions(ConfigOptions.DisableLogFile | ConfigOptions.JoinSummary);
BenchmarkSwitcher.FromAssembly(typeof(OpenBlas).Assembly).Run(args, config);
