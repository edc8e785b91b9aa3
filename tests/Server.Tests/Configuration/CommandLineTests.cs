using Frusta.Server.Configuration;

namespace Frusta.Server.Tests.Configuration;

public sealed class CommandLineTests
{
    [Fact]
    public void Short_flags_and_options_of_the_table_are_read_under_their_keys()
    {
        var commandLine = CommandLine.Parse(
            ["standalone", "--port", "4000", "--host", "::1", "--data-dir", "here", "--config", "my.json", "--Limits:InvocationsPerMinute=5"], TextWriter.Null, TextWriter.Null, out var exitCode);

        Assert.Equal(0, exitCode);
        Assert.Equal("my.json", commandLine!.ConfigFile);
        Assert.Equal(
            "Limits:InvocationsPerMinute=5 Server:DataDir=here Server:Host=::1 Server:Port=4000",
            string.Join(' ', commandLine.Values.Select(static pair => $"{pair.Key}={pair.Value}").Order(StringComparer.Ordinal)));
    }

    [Fact]
    public void Help_is_given_where_only_that_is_asked_for()
    {
        using var output = new StringWriter();

        Assert.Null(CommandLine.Parse(["standalone", "--help"], output, TextWriter.Null, out var exitCode));

        Assert.Equal(0, exitCode);
        Assert.Contains("--data-dir", output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--prot", "--prot")]
    [InlineData("--Subjects:me=a:b", "Subjects")]
    public void What_it_does_not_know_is_refused_by_name(string flag, string words)
    {
        var (exitCode, output) = Typed.Refused(flag);

        Assert.NotEqual(0, exitCode);
        Assert.Contains(words, output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--Controller:Info:OperatorPassword=letmein99", "Controller:Info:OperatorPassword", "FRUSTA_Controller__Info__OperatorPassword")]
    [InlineData("--controller:info:operatorpassword=letmein99", "controller:info:operatorpassword", "FRUSTA_controller__info__operatorpassword")]
    [InlineData("--Controller__Info__OperatorPassword=letmein99", "Controller__Info__OperatorPassword", "FRUSTA_Controller__Info__OperatorPassword")]
    [InlineData("Controller:Info:OperatorPassword=letmein99", "Controller:Info:OperatorPassword", "FRUSTA_Controller__Info__OperatorPassword")]
    [InlineData("--Controller:Info:OperatorPassword:0=letmein99", "Controller:Info:OperatorPassword:0", "frusta.json")]
    [InlineData("--Subjects:zoe=uuid:letmein99", "--Subjects:zoe", "FRUSTA_Subjects__zoe")]
    [InlineData("--Subjects=letmein99", "--Subjects", "frusta.json")]
    [InlineData("Subject=letmein99", "Subject", "neither")]
    public void A_secret_as_a_flag_is_refused_by_name_and_its_value_is_not_repeated(string flag, string name, string words)
    {
        var (exitCode, output) = Typed.Refused(flag);

        Assert.Equal(2, exitCode);
        Assert.Contains(name, output, StringComparison.Ordinal);
        Assert.Contains(words, output, StringComparison.Ordinal);
        Assert.DoesNotContain("letmein99", output, StringComparison.Ordinal);
    }
}
