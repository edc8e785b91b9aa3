namespace Frusta.Server.Tests.Configuration;

public sealed class FrustaOptionsTests
{
    [Fact]
    public void A_flag_sets_its_option_and_the_others_stay_as_they_are_by_default()
    {
        var options = Typed.Options("--port", "4000", "--Limits:InvocationsPerMinute=5", "--invoker:stemcells:nodejs:count=3", "--Store:Activations:MaxAge=1.12:00:00");

        Assert.Equal(4000, options.Server.Port);
        Assert.Equal(5, options.Limits.InvocationsPerMinute);
        Assert.Equal(3, options.Invoker.StemCells["nodejs"].Count);
        Assert.Equal(TimeSpan.FromHours(36), options.Store.Activations.MaxAge);
        Assert.Equal("127.0.0.1", options.Server.Host);
        Assert.Null(options.Warning);
    }

    [Theory]
    [InlineData("--Limits:InvocationsPerMinut=5", "InvocationsPerMinut")]
    [InlineData("--Limits:InvocationsPerMinute=-5", "Limits:InvocationsPerMinute must be from 0")]
    [InlineData("--Limits:InvocationsPerMinute=many", "Limits:InvocationsPerMinute must be from 0 to 2147483647, but it is 'many'.")]
    [InlineData("--Limits:InvocationsPerMinute=99999999999", "Limits:InvocationsPerMinute must be from 0 to 2147483647, but it is '99999999999'.")]
    [InlineData("--Limits:InvocationsPerMinute:Much=1", "no option Limits:InvocationsPerMinute:Much")]
    [InlineData("--Invoker:Pool=5", "Invoker:Pool is a section of options")]
    [InlineData("--Sandboxes:Network:Deny=10.0.0.1,nonsense", "Sandboxes:Network:Deny must hold addresses or networks, but one is nonsense")]
    [InlineData("--Sandboxes:Network:Deny:first=10.0.0.1", "no option Sandboxes:Network:Deny:first")]
    [InlineData("--Invoker:StemCells:ruby:Count=1", "Section Invoker:StemCells has no option ruby")]
    [InlineData("--Invoker:StemCells:nodejs:Cuont=1", "Section Invoker:StemCells:nodejs has no option Cuont")]
    [InlineData("--Invoker:Pool:IdleMarginMb=16", "Invoker:Pool:IdleMarginMb is no option any more: all idle sandboxes now share one reserve, Invoker:Pool:ReserveMb, instead of a margin each.")]
    [InlineData("--Invoker:StemCells:nodejs:Count=many", "Count from 0 to 100 and a MemoryMb from 32 to 65536, but Count is 'many'.")]
    [InlineData("--Store:Activations:MaxAge=week", "Store:Activations:MaxAge must be a time as d.hh:mm:ss, but it is 'week'.")]
    [InlineData("--Server:AllowStockKeys=perhaps", "Server:AllowStockKeys must be true or false, but it is 'perhaps'.")]
    [InlineData("--Server:LogLevel=3", "Server:LogLevel must be Trace,")]
    [InlineData("--Sandboxes:CgroupParent=../x", "Sandboxes:CgroupParent must be a path below the top of the control groups, without . and .. in it, but it is ../x.")]
    [InlineData("--Sandboxes:CgroupParent=/", "Sandboxes:CgroupParent must be a path")]
    [InlineData("--Sandboxes:Bubblewrap=/nope/bwrap", "Sandboxes:Bubblewrap must be the path of a program, but there is no file /nope/bwrap.")]
    [InlineData("--Runtimes:NodePath=/nope/node", "Runtimes:NodePath must be the path of a program, but there is none at /nope/node.")]
    [InlineData("--Runtimes:PythonPath=/nope/python", "Runtimes:PythonPath must be the path of a program, but there is none at /nope/python.")]
    [InlineData("--Runtimes:RunnersFolder=/etc", "Runtimes:RunnersFolder must be the path of a folder with runners, but there is none at /etc.")]
    [InlineData("--Runtimes:NodeModulesFolder=/nope", "Runtimes:NodeModulesFolder must be the path of a folder, but there is none at /nope.")]
    [InlineData("--config=/", "The configuration file '/' is a folder.")]
    [InlineData("--config=/nope/frusta.json", "The configuration file '/nope/frusta.json' does not exist.")]
    [InlineData("--Nonsense:Key=1", "Nonsense")]
    public void A_wrong_option_is_refused_by_name(string flag, string words)
    {
        var (exitCode, output) = Typed.Refused(flag);

        Assert.Null(exitCode);
        Assert.Contains(words, output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"Sandboxes": {"Network": {"Deny": "10.0.0.1, nonsense"}}}""", "but one is nonsense")]
    [InlineData("""{"Sandboxes": {"Network": {"Deny": ["10.0.0.1", "nonsense"]}}}""", "but one is nonsense")]
    [InlineData("""{"Server": """, "The configuration file cannot be read:")]
    public async Task A_wrong_file_is_refused_and_a_list_is_read_from_it_in_one_value_or_entry_by_entry(string content, string words)
    {
        using var folder = new TemporaryFolder();
        var file = await WriteAsync(folder, content);

        Assert.Contains(words, Typed.Refused("--config", file).Words, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_flag_wins_over_the_file()
    {
        using var folder = new TemporaryFolder();
        var file = await WriteAsync(folder, """{"Server": {"Port": 4000, "DrainMs": 7}, "Sandboxes": {"Network": {"Deny": ["10.0.0.1"]}}}""");

        var options = Typed.Options("--config", file, "--port", "5000", "--Sandboxes:Network:Deny=10.0.0.2,10.0.0.3");

        Assert.Equal((5000, 7), (options.Server.Port, options.Server.DrainMs));
        Assert.Equal(["10.0.0.2", "10.0.0.3"], options.Sandboxes.Network.Deny);
    }

    [Fact]
    public async Task A_file_with_secrets_that_others_may_read_is_warned_of_and_one_without_or_of_ones_own_is_not()
    {
        const UnixFileMode shared = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        const UnixFileMode own = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        const string secret = """{"Controller": {"Info": {"OperatorName": "op", "OperatorPassword": "letmein99"}}}""";
        using var folder = new TemporaryFolder();
        foreach (var (content, mode, isNamed) in new[] { (secret, shared, true), (secret, own, false), ("""{"Server": {"DrainMs": 1}}""", shared, false) })
        {
            var file = await WriteAsync(folder, content);
            File.SetUnixFileMode(file, mode);

            var options = Typed.Options("--config", file);

            Assert.Equal(isNamed ? $"'{file}' holds secrets, and others on this host may read it: chmod 600 it" : null, options.Warning);
        }
    }

    private static async Task<string> WriteAsync(TemporaryFolder folder, string content)
    {
        var file = folder.Sub("frusta.json");
        await File.WriteAllTextAsync(file, content, TestContext.Current.CancellationToken);
        return file;
    }
}
