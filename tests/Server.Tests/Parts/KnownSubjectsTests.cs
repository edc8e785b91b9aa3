using Frusta.Server.Configuration;
using Frusta.Server.Parts;

namespace Frusta.Server.Tests.Parts;

public sealed class KnownSubjectsTests
{
    private const string Key = "0d1a7c52-6a0e-4d7c-9c43-6f2f8f2d7a10:kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";

    /// <summary>Everybody knows the stock keys: they are for this host alone, and not for functions beside those of other subjects.</summary>
    [Theory]
    [InlineData("127.0.0.1", false, false, true, false)]
    [InlineData("127.0.0.1", true, false, true, true)]
    [InlineData("127.0.0.1", true, true, true, false)]
    [InlineData("0.0.0.0", true, false, false, false)]
    [InlineData("0.0.0.0", false, true, true, false)]
    public void The_stock_keys_are_let_in_where_no_stranger_can_use_them(string host, bool further, bool allowed, bool withStock, bool differ)
    {
        var options = new FrustaOptions();
        (options.Server.Host, options.Server.AllowStockKeys) = (host, allowed);
        if (further)
        {
            options.Subjects["zoe"] = Key;
        }

        var subjects = KnownSubjects.Read(options);

        Assert.Equal((withStock, differ), (subjects.WithStock, subjects.Differ));
    }

    [Fact]
    public void A_subject_that_is_not_written_as_a_key_is_refused_by_name()
    {
        var options = new FrustaOptions();
        options.Subjects["zoe"] = "letmein99";

        var refused = Assert.Throws<StartRefusedException>(() => KnownSubjects.Read(options));

        Assert.Contains("zoe", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("letmein99", refused.Message, StringComparison.Ordinal);
    }
}
