using System.Text.Json;
using Dnn.Dsl;
using Xunit;

namespace Dnn.Cli.Tests;

public class FmtTests : Workspace
{
    private const string Untidy = "let  a=1\r\n\r\n\r\n// why\r\nlet b = f( a,2 )";

    private const string Tidy = "let a = 1\n\n// why\nlet b = f(a, 2)\n";

    [Fact]
    public void Fmt_writes_canonical_layout()
    {
        var (one, two) = (Write("one.dnn", Untidy), Write("two.dnn", Tidy));
        Assert.Equal([$"{one}: formatted"], Fine("fmt", one, two).Lines);
        Assert.Equal(Tidy, File.ReadAllText(one));
        Assert.Equal(Tidy, File.ReadAllText(two));
        Assert.Equal("", Fine("fmt", one, two).Output);
        Assert.Equal(["one.dnn", "two.dnn"], Directory.GetFiles(At()).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void Fmt_check_names_files_and_changes_nothing()
    {
        var (one, two) = (Write("one.dnn", Untidy), Write("two.dnn", Tidy));
        var outcome = Dnn("fmt", "--check", one, two);
        Assert.Equal((1, ""), (outcome.Code, outcome.Error));
        Assert.StartsWith($"{one}: not in canonical layout", Assert.Single(outcome.Lines));
        Assert.Equal(Untidy, File.ReadAllText(one));
        Assert.Equal("", Fine("fmt", "--check", two).Output);
        var quiet = Dnn("fmt", "--check", "--quiet", one);
        Assert.Equal((1, ""), (quiet.Code, quiet.Output));
    }

    [Fact]
    public void Fmt_leaves_files_with_errors_alone()
    {
        var (bad, good) = (Write("bad.dnn", "let a=(1\n"), Write("good.dnn", Untidy));
        var outcome = Fails(1, ["fmt", bad, good, At("missing.dnn")], "DNN", "let a=(1", "missing.dnn: there is no such file");
        Assert.Equal([$"{good}: formatted"], outcome.Lines);
        Assert.Equal("let a=(1\n", File.ReadAllText(bad));
        Fails(2, ["fmt"], "`dnn fmt` needs FILE");
    }

    [Fact]
    public void Fmt_keeps_links_and_permissions()
    {
        var file = Write("one.dnn", Untidy);
        File.CreateSymbolicLink(At("link.dnn"), file);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Fine("fmt", At("link.dnn"));
        Assert.Equal(file, new FileInfo(At("link.dnn")).LinkTarget);
        Assert.Equal(Tidy, File.ReadAllText(file));
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
    }

    [Fact]
    public void Fmt_leaves_bytes_that_are_no_text_alone()
    {
        byte[] bytes = [.. "let  a = 1 // caf"u8, 0xE9];
        File.WriteAllBytes(At("latin.dnn"), bytes);
        Fails(1, ["fmt", At("latin.dnn")], "this is not UTF-8 text");
        Assert.Equal(bytes, File.ReadAllBytes(At("latin.dnn")));
    }

    [Fact]
    public void Fmt_json_is_a_line_a_file()
    {
        var outcome = Dnn("fmt", "--check", "--json", Write("one.dnn", Untidy), Write("two.dnn", Tidy), Write("bad.dnn", "let a=(1\n"));
        Assert.Equal(1, outcome.Code);
        var lines = outcome.Lines.Select(l => JsonDocument.Parse(l).RootElement).ToArray();
        Assert.Equal([true, false, false], lines.Select(l => l.GetProperty("changed").GetBoolean()));
        Assert.Equal([0, 0, 1], lines.Select(l => l.GetProperty("errors").GetArrayLength()));
        Assert.Equal(1, lines[2].GetProperty("errors")[0].GetProperty("line").GetInt32());
    }

    [Theory]
    [InlineData(Untidy, 0, Tidy, "fmt", "-")]
    [InlineData(Untidy, 1, "-: not in canonical layout; `dnn fmt` writes it\n", "fmt", "-", "--check")]
    [InlineData("let a=(1", 1, "let a=(1", "fmt", "-")]
    public void Fmt_reads_standard_input(string text, int code, string written, params string[] args)
    {
        using StringWriter output = new() { NewLine = "\n" }, error = new();
        Assert.Equal(code, Cli.Run(args, new Terminal(output, error, () => default) { Input = new StringReader(text) }));
        Assert.Equal(written, output.ToString());
        Assert.Equal(text == "let a=(1", error.ToString().Contains("<input>:1"));
    }

    [Fact]
    public void Fmt_breaks_the_lines_that_grad_prints()
    {
        Fine("grad", WriteSmall(), "-o", At("g.dnn"));
        Fine("fmt", At("g.dnn"), "--quiet");
        var text = File.ReadAllText(At("g.dnn"));
        Assert.All(text.Split('\n'), line => Assert.True(line.Length <= Formatter.Width, line));
        Fine("fmt", "--check", At("g.dnn"));
        Fine("check", At("g.dnn"));
    }
}
