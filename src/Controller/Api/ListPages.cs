namespace Frusta.Controller.Api;

/// <summary>Cuts a list into pages, each of which is read in one step: many small entries, or a single large one.</summary>
internal static class ListPages
{
    private const int MostBytes = 256 * 1024;

    /// <summary>The pages, in the order of the list.</summary>
    public static List<ArraySegment<T>> Cut<T>(IReadOnlyList<T> entries, Func<T, int> bytesOf)
    {
        T[] all = [.. entries];
        var pages = new List<ArraySegment<T>>();
        var (first, bytes) = (0, 0L);
        for (var i = 0; i < all.Length; i++)
        {
            if (i > first && bytes + bytesOf(all[i]) > MostBytes)
            {
                pages.Add(new ArraySegment<T>(all, first, i - first));
                (first, bytes) = (i, 0);
            }

            bytes += bytesOf(all[i]);
        }

        if (first < all.Length)
        {
            pages.Add(new ArraySegment<T>(all, first, all.Length - first));
        }

        return pages;
    }

    /// <summary>Bytes of the largest page.</summary>
    public static long Largest<T>(List<ArraySegment<T>> pages, Func<T, int> bytesOf)
    {
        var largest = 0L;
        foreach (var page in pages)
        {
            largest = Math.Max(largest, page.Sum(entry => (long)bytesOf(entry)));
        }

        return largest;
    }
}
