using Frusta.Server.Configuration;
using Frusta.Server.Parts;

namespace Frusta.Server.Tests.Parts;

public sealed class DataFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Data => _folder.Sub("data");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_new_folder_is_its_owners_alone_and_opens_again_when_it_is_closed()
    {
        using (var data = DataFolder.Open(Data))
        {
            Assert.Equal(Data, data.Path);
            Assert.True(Directory.Exists(data.Entities));
        }

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Data));
        Assert.Equal("1\n", File.ReadAllText(Path.Combine(Data, "VERSION")));
        DataFolder.Open(Data).Dispose();
    }

    [Fact]
    public void One_in_use_is_refused_in_words()
    {
        using var first = DataFolder.Open(Data);
        AssertRefused("in use by another server");
    }

    [Fact]
    public void One_of_another_version_is_refused_in_words()
    {
        Make("VERSION", "99\n");
        AssertRefused("layout version '99'");
    }

    [Fact]
    public void A_folder_of_somebody_elses_is_not_taken_over()
    {
        Make("thesis.txt", "");
        AssertRefused("is not empty, and no data folder of Frusta: it holds 'thesis.txt'");
        Assert.Equal([Path.Combine(Data, "thesis.txt")], Directory.GetFileSystemEntries(Data));
    }

    [Fact]
    public void A_file_is_refused_in_words()
    {
        File.WriteAllText(Data, "");
        AssertRefused("is a file");
    }

    [Fact]
    public void An_empty_folder_keeps_its_mode_and_what_an_interrupted_first_start_left_is_gone_on_with()
    {
        const UnixFileMode shared = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute;
        Directory.CreateDirectory(Data, shared);
        Make("lock", "1");
        Make("VERSION.new", "");

        DataFolder.Open(Data).Dispose();

        Assert.Equal(shared, File.GetUnixFileMode(Data));
    }

    private void Make(string name, string content)
    {
        Directory.CreateDirectory(Data);
        File.WriteAllText(Path.Combine(Data, name), content);
    }

    private void AssertRefused(string words) =>
        Assert.Contains(words, Assert.Throws<StartRefusedException>(() => DataFolder.Open(Data)).Message, StringComparison.Ordinal);
}
